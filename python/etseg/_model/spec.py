"""ModelSpec: where a model comes from, and what its input and output mean."""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from etseg._errors import InvalidConfigError, InvalidModelSourceError
from etseg._label_enums import Labels, normalize_labels
from etseg._labels import LabelEnum
from etseg._messages import brief, source_for_people

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from 3.11 on

Activation = Literal["softmax", "sigmoid", "normalise", "none"]
Resample = Literal["bilinear", "antialias"]
Source = str | os.PathLike[str]

#: Of pixels in 0..1 no mean is above 1, and no deviation above 1/2; those of 0..255 are far above.
_MOST = {"mean": 1.0, "std": 10.0}


@dataclass(frozen=True)
class LogitsGrid:
    """Where a program's logits lie in the image, for what upsamples them.

    Attributes:
        kind: "half-pixel": each logit in the middle of its part of the image, as torch's
            ``align_corners=False``. "align-corners": the outer logits on the outer pixels of a
            grid, as the ``align_corners=True`` of a head that was left out of the program.
        size: height and width of that grid, what the head would have returned; None for
            "half-pixel".

    Raises:
        InvalidConfigError: another kind, or a size that does not belong to it.
    """

    kind: Literal["half-pixel", "align-corners"] = "half-pixel"
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _one_of("the kind of logits_grid", self.kind, ("half-pixel", "align-corners"))
        if self.kind == "half-pixel":
            if self.size is not None:
                raise InvalidConfigError(
                    f"the size of logits_grid is {self.size!r}; 'half-pixel' has none"
                )
            return
        try:
            height, width = (operator.index(side) for side in self.size or ())
        except (TypeError, ValueError):
            height = width = 0
        if height < 1 or width < 1:
            raise InvalidConfigError(
                f"the size of logits_grid is {self.size!r}; expected height and width of what the "
                "network's own head returns, such as (513, 513)"
            )
        object.__setattr__(self, "size", (height, width))  # of a list, too


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: its source, and how its input and output are meant.

    What is None is taken from the program's own metadata, where it has any, else as said below.

    Attributes:
        model_source: path, ``file://`` URI, http(s) URL, ``hf://owner/repository/file[@revision]``
            for a file on Hugging Face's hub, or ``bundled:NAME`` for a program in the wheel.
        name: what the model is called.
        labels: an ``IntEnum`` (0, 1, 2, ... and optionally ARGMAX last), names in channel order,
            or an ``{index: name}`` mapping. None: by the channel count, see
            :meth:`ImageSegmentationModule.load`.
        mean: per channel (red, green, blue), in units of 0..1; subtracted from the image. None: 0.
            Values of a training with pixels in 0..255 are divided by 255 first; so are those of
            `std`. Programs that take bytes normalise them themselves, and want neither.
        std: per channel, in units of 0..1, above 0; the image is divided by it after that. None: 1.
        activation: "softmax" over the channels, "sigmoid" of each channel by itself, "normalise"
            for scores of 0 or more that are divided by the sum of all, or "none" where the program
            returns probabilities, or labels. None: "none" for one channel, else "softmax". With
            "sigmoid" and more than one channel there is one label more than channels, the last,
            for pixels where no other is likely.
        background: the label that pictures leave unpainted. None: the one named BACKGROUND, if
            there is one.
        resample: how an image is brought to the model's input size: "bilinear" (two taps an axis,
            the reference's) or "antialias" (a triangle filter as wide as the reduction, as
            Pillow's and torchvision's). None: "antialias"; where nothing is reduced, the two are
            the same.
        logits_grid: where the program's logits lie in the image: a :class:`LogitsGrid`, or a
            mapping with its fields. None: "half-pixel".
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
    logits_grid: LogitsGrid | None = None
    licence: str | None = None
    origin: str | None = None
    sha256: str | None = None

    if TYPE_CHECKING:  # whose idea of it would be that a list is no mean

        def __init__(self, *, model_source: Source, **options: Unpack[SpecKeywords]) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.model_source, (str, os.PathLike)):
            raise InvalidModelSourceError(
                f"model_source is {brief(self.model_source)}; expected a path, URI or URL"
            )
        self._set("model_source", _checked_source(self.model_source))
        if self.mean is not None:
            self._set("mean", _three_numbers("mean", self.mean))
        if self.std is not None:
            self._set("std", _three_numbers("std", self.std))
            if min(self.std) <= 0:
                raise InvalidConfigError(f"std is {self.std}; every value must be above 0")
        _one_of("activation", self.activation, get_args(Activation))
        _one_of("resample", self.resample, get_args(Resample))
        if self.logits_grid is not None:
            self._set("logits_grid", _grid(self.logits_grid))
        if self.labels is not None:
            self._set("labels", normalize_labels(self.labels))
        if self.sha256 is not None:
            text = self.sha256 if isinstance(self.sha256, str) else ""
            if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
                raise InvalidConfigError(
                    f"sha256 is {brief(self.sha256)}; expected 64 hex digits, as text"
                )
            self._set("sha256", self.sha256.lower())

    def __repr__(self) -> str:
        """With a URL as messages show it: without what may be secret in it."""
        shown = {"model_source": source_for_people(os.fsdecode(self.model_source))}
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"ModelSpec({', '.join(f'{n}={shown.get(n, value)!r}' for n, value in named)})"

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)  # the dataclass is frozen for everybody else


class SpecKeywords(TypedDict, total=False):
    """:class:`ModelSpec` but for its source, as type checkers see it among keywords."""

    name: str | None
    labels: Labels | LabelEnum | None
    mean: Iterable[float] | None
    std: Iterable[float] | None
    activation: Activation | None
    background: str | int | None
    resample: Resample | None
    logits_grid: LogitsGrid | Mapping[str, Any] | None
    licence: str | None
    origin: str | None
    sha256: str | None


def _checked_source(source: Source) -> Source:
    """The source; a path of bytes, as os.scandir(b".") gives, as one of text."""
    try:
        path = os.fspath(source)
    except Exception as error:  # of somebody's class
        raise InvalidModelSourceError(
            f"model_source is a {type(source).__name__} that gives no path: {brief(error)}"
        ) from error
    return Path(os.fsdecode(path)) if isinstance(path, bytes) else source


def _three_numbers(field: str, value: object) -> tuple[float, float, float]:
    try:
        given: list[Any] = [] if isinstance(value, (str, bytes)) else list(value)  # type: ignore[call-overload]
        numbers = tuple(float(number) for number in given if not isinstance(number, (str, bool)))
    except OverflowError:
        raise InvalidConfigError(
            f"{field} has a number that is too large for a float; expected three finite numbers, "
            "red, green and blue"
        ) from None
    except (TypeError, ValueError):
        given, numbers = [], ()
    if not len(given) == len(numbers) == 3 or not all(map(math.isfinite, numbers)):
        raise InvalidConfigError(
            f"{field} is {brief(value)}; expected three finite numbers, red, green and blue"
        )
    if max(numbers) > _MOST[field]:
        divided = tuple(float(f"{number / 255:.3g}") for number in numbers)
        raise InvalidConfigError(
            f"{field} is {numbers}, as if pixels were 0..255; here they are 0..1: divide mean and "
            f"std by 255, so that {field} is {divided}"
        )
    return numbers


def _grid(value: object) -> LogitsGrid:
    if isinstance(value, LogitsGrid):
        return value
    names = {field.name for field in fields(LogitsGrid)}
    if not isinstance(value, Mapping) or not set(value) <= names:
        raise InvalidConfigError(
            f"logits_grid is {value!r}; expected a mapping with 'kind' and 'size'"
        )
    return LogitsGrid(**value)


def _one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    if value is not None and not (isinstance(value, str) and value in allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise InvalidConfigError(f"{field} is {brief(value)}; expected one of {choices}")
