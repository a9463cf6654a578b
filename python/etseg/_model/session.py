"""A loaded model, and what its input and output mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg import _native, _openvino, _threads
from etseg._errors import InvalidConfigError, InvalidUserInputError, LabelError
from etseg._images.decode import Pixels
from etseg._labels import Label, LabelSet
from etseg._logs import logger
from etseg._messages import source_for_people

from .assumptions import assumptions
from .catalogue import with_published
from .files import anchored
from .metadata import complete
from .spec import Activation, LogitsGrid, ModelSpec, Resample, Source

# Of the two, the one whose masks of large photos move less when the photo does
# (benchmarks/resample_quality.py).
_DEFAULT_RESAMPLE: Resample = "antialias"
#: How many labels a program that returns them is taken to tell apart, where nobody says.
_LABELS_OF_A_MAP = 256


@dataclass(frozen=True)
class Session:
    """What forward() needs to know. Replaced as a whole, never changed."""

    segmenter: _native.Segmenter
    spec: ModelSpec
    source: Source  # the spec's; a path made absolute, as the working directory may change
    labels: LabelSet
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    assumed: tuple[str, ...]  # what neither the spec nor the program says, and was taken to be
    has_probabilities: bool  # False: the program returns labels alone
    takes_bytes: bool  # True: the program normalises pixels itself; mean and std are none

    @classmethod
    def open(cls, spec: ModelSpec, path: Path, concurrency: int, shared: bool = False) -> Session:
        """Loads the program at `path`, `concurrency` times; what `spec` leaves open is filled in.

        Args:
            spec: of the model.
            path: of the program.
            concurrency: how many instances.
            shared: whether their packed weights are to be in a file.

        Raises:
            InvalidModelError: the file is damaged, or no segmentation program.
            InvalidConfigError: the spec does not fit the program.
            FileReadError: the file cannot be read.
        """
        source = anchored(spec.model_source)
        _threads.prepare(concurrency)
        _openvino.prepare()
        if shared:
            from etseg._weights.loading import load

            model = load(path, concurrency)
        else:
            model = _native.Model(os.fsencode(path), concurrency)  # a path need not be UTF-8
        spec = complete(spec, model.metadata, os.fspath(path))
        scores = model.channels > 0
        if scores and not model.takes_bytes:  # as all published ones
            spec = with_published(spec, model.channels)
        activation = _activation(spec, model.channels)
        labels = _labels_for(spec, model.channels, activation)
        said = spec
        mean = spec.mean or (0.0, 0.0, 0.0)
        std = spec.std or (1.0, 1.0, 1.0)
        resample = spec.resample or _DEFAULT_RESAMPLE
        grid = spec.logits_grid or LogitsGrid()
        spec = replace(
            spec,
            labels=spec.labels or labels.enum,
            mean=mean,
            std=std,
            activation=activation,
            resample=resample,
            logits_grid=grid,
            background=_background(spec, labels),
        )
        assumed = assumptions(said, spec, model.takes_bytes, not scores)
        if assumed:
            logger().info("%s does not say all; assumed: %s", spec.name or path, "; ".join(assumed))
        input_size, output_size = model.input_size, model.output_size
        segmenter = _native.Segmenter(
            model, mean, std, activation, resample, grid.kind, grid.size, len(labels)
        )
        return cls(
            segmenter,
            spec,
            source,
            labels,
            input_size,
            output_size,
            assumed,
            has_probabilities=scores,
            takes_bytes=model.takes_bytes,
        )

    @property
    def name(self) -> str:
        """What people call the model: its name, or where it is from, without secrets."""
        return self.spec.name or source_for_people(os.fspath(self.spec.model_source))

    def members(self, classes: Iterable[Label]) -> tuple[IntEnum, ...]:
        """The labels whose probabilities are asked for, each once.

        Raises:
            LabelError: there is no such label.
            InvalidUserInputError: the program returns labels, and no probabilities.
        """
        members = self.labels.find_all(classes)
        if members and not self.has_probabilities:
            raise InvalidUserInputError(
                f"there is no probability of {members[0].name}: the model's program returns labels "
                "and no probabilities. Leave out classes_of_interest, and take the label's pixels "
                "from ARGMAX or mask()"
            )
        return members

    def empty_maps(
        self, size: tuple[int, int], dtype: np.dtype[Any], members: tuple[IntEnum, ...]
    ) -> tuple[npt.NDArray[Any], dict[IntEnum, npt.NDArray[Any]]]:
        """Arrays (H, W) for :meth:`forward` to write into: ARGMAX, and those of the members.

        Raises:
            InvalidConfigError: `dtype` is too small for the model's labels.
            OutOfMemoryError: there is no memory for them.
        """
        if dtype == np.uint8 and len(self.labels) > 256:
            raise InvalidConfigError(
                f"argmax_dtype is 'uint8', but the model has {len(self.labels)} labels; use 'int32'"
            )
        argmax, *planes = self.segmenter.empty_maps(*size, dtype, len(members))
        return argmax, dict(zip(members, planes, strict=True))

    def forward(
        self,
        pixels: Pixels,
        argmax: npt.NDArray[Any],
        probabilities: Mapping[IntEnum, npt.NDArray[Any]],
        own_points: bool,
    ) -> tuple[int, int, int]:
        """Segments decoded pixels into maps, whose size decides what is upsampled.

        Args:
            pixels: of the image.
            argmax: (H, W), written.
            probabilities: likewise, of each label that is wanted.
            own_points: whether the maps are of the program's own size, for its own points. An
                image of that size, whose maps are for its pixels, is another matter where the
                logits' corners are aligned.

        Returns:
            the nanoseconds of preprocess, inference, postprocess.

        Raises:
            ModuleNotLoadedError: the segmenter was closed before the call's turn.
        """
        planes = [(int(member), plane) for member, plane in probabilities.items()]
        return self.segmenter.forward(
            pixels.array,
            bgr=pixels.bgr,
            argmax=argmax,
            probabilities=planes,
            own_points=own_points,
        )


def _activation(spec: ModelSpec, channels: int) -> Activation:
    if channels == 0:
        if spec.activation not in (None, "none"):
            raise InvalidConfigError(
                f"activation is {spec.activation!r}, but the program returns labels; leave it out"
            )
        return "none"
    return spec.activation or ("none" if channels == 1 else "softmax")


def _labels_for(spec: ModelSpec, channels: int, activation: Activation) -> LabelSet:
    """The spec's labels, if they are as many as the program tells apart; else those assumed."""
    by_themselves = channels > 1 and activation == "sigmoid"
    if spec.labels is None:
        if by_themselves:
            return LabelSet((*(f"CLASS_{index}" for index in range(channels)), "BACKGROUND"))
        return LabelSet.for_channels(channels or _LABELS_OF_A_MAP)
    labels = LabelSet(spec.labels)  # type: ignore[arg-type]  # normalised by the spec
    count = channels + 1 if channels == 1 or by_themselves else channels or len(labels)
    if len(labels) != count:
        if channels == 1:
            tells = "one channel, foreground and background"
        elif by_themselves:
            tells = (
                f"{channels} channels by 'sigmoid', and after them one for where none of those is "
                "likely, such as 'background'"
            )
        else:
            tells = f"{channels} channels"
        raise InvalidConfigError(
            f"the spec has {len(labels)} labels, but the program tells {count} apart ({tells})"
        )
    return labels


def _background(spec: ModelSpec, labels: LabelSet) -> int | None:
    if spec.background is None:
        named = [member for member in labels.members if member.name == "BACKGROUND"]
        return int(named[0]) if named else None
    try:
        member = labels.find(spec.background)
    except LabelError as error:
        raise InvalidConfigError(f"background: {error}") from None
    if member is None:
        raise InvalidConfigError("background is ARGMAX; expected one of the classes")
    return int(member)
