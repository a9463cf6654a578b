"""ModelSpec: where a model comes from, and what its input and output mean."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict, get_args

from etseg._errors import InvalidConfigError, InvalidModelSourceError
from etseg._labels import Labels, normalize_labels

Activation = Literal["softmax", "sigmoid", "none"]
Resample = Literal["bilinear", "antialias"]
Source = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: its source, and how its input and output are meant.

    What is None is taken from the program's own metadata, where it has any, else as said below.

    Attributes:
        model_source: path, ``file://`` URI, http(s) URL, or ``bundled:NAME`` for a program in the
            wheel.
        name: what the model is called.
        labels: an ``IntEnum`` (0, 1, 2, ... and optionally ARGMAX last), names in channel order,
            or an ``{index: name}`` mapping. None: by the channel count, see
            :meth:`ImageSegmentationModule.load`.
        mean: per channel (red, green, blue), in units of 0..1; subtracted from the image. None: 0.
        std: per channel, in units of 0..1, above 0; the image is divided by it after that. None: 1.
        activation: "softmax" over the channels, "sigmoid" of the one channel, or "none" where the
            program returns probabilities. None: "none" for one channel, else "softmax".
        background: the label that pictures leave unpainted. None: the one named BACKGROUND, if
            there is one.
        resample: how an image is brought to the model's input size: "bilinear" (two taps an axis,
            the reference's) or "antialias" (a triangle filter as wide as the reduction, as
            Pillow's and torchvision's). None: "antialias"; where nothing is reduced, the two are
            the same.
        licence: what the weights may be used under.
        origin: where the weights come from.
        sha256: of the file, in hexadecimal; checked before the file is used.

    Raises:
        InvalidConfigError: a field is not what it should be; the message says which.
    """

    model_source: Source
    name: str | None = None
    labels: Labels | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    activation: Activation | None = None
    background: str | int | None = None
    resample: Resample | None = None
    licence: str | None = None
    origin: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model_source, (str, os.PathLike)):
            raise InvalidModelSourceError(
                f"model_source is {self.model_source!r}; expected a path, URI or URL"
            )
        if self.mean is not None:
            self._set("mean", _three_numbers("mean", self.mean))
        if self.std is not None:
            self._set("std", _three_numbers("std", self.std))
            if min(self.std) <= 0:
                raise InvalidConfigError(f"std is {self.std}; every value must be above 0")
        _one_of("activation", self.activation, get_args(Activation))
        _one_of("resample", self.resample, get_args(Resample))
        if self.labels is not None:
            self._set("labels", normalize_labels(self.labels))
        if self.sha256 is not None:
            if not re.fullmatch(r"[0-9a-fA-F]{64}", str(self.sha256)):
                raise InvalidConfigError(f"sha256 is {self.sha256!r}; expected 64 hex digits")
            self._set("sha256", self.sha256.lower())

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)  # the dataclass is frozen for everybody else


class SpecKeywords(TypedDict, total=False):
    """:class:`ModelSpec` but for its source, as type checkers see it among keywords."""

    name: str | None
    labels: Labels | None
    mean: Iterable[float] | None
    std: Iterable[float] | None
    activation: Activation | None
    background: str | int | None
    resample: Resample | None
    licence: str | None
    sha256: str | None


def as_spec(model: ModelSpec | Mapping[str, Any] | Source) -> ModelSpec:
    """What load() was given, as a spec.

    Raises:
        InvalidModelSourceError: not a spec, a mapping with "model_source", or a source.
        InvalidConfigError: the mapping has a key that ModelSpec does not.
    """
    if isinstance(model, ModelSpec):
        return model
    if isinstance(model, (str, os.PathLike)):
        return ModelSpec(model_source=model)
    if not isinstance(model, Mapping) or "model_source" not in model:
        raise InvalidModelSourceError(
            f"the model is {model!r}; expected a constant such as etseg.SELFIE_SEGMENTATION, a "
            "ModelSpec, {'model_source': ...}, or a path, URI or URL"
        )
    known = {field.name for field in fields(ModelSpec)}
    unknown = sorted(set(model) - known)
    if unknown:
        raise InvalidConfigError(f"unknown fields {unknown}; a model has {sorted(known)}")
    return ModelSpec(**model)


def _three_numbers(field: str, value: object) -> tuple[float, float, float]:
    try:
        numbers = tuple(float(number) for number in value)  # type: ignore[attr-defined]
    except OverflowError:  # not shown: Python writes no number of so many digits
        raise InvalidConfigError(
            f"{field} has a number that is too large for a float; expected three finite numbers, "
            "red, green and blue"
        ) from None
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not all(math.isfinite(number) for number in numbers):
        raise InvalidConfigError(
            f"{field} is {value!r}; expected three finite numbers, red, green and blue"
        )
    return numbers


def _one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    if value is not None and value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise InvalidConfigError(f"{field} is {value!r}; expected one of {choices}")
