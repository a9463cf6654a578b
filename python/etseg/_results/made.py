"""What one forward made: the maps, and what is known of the image and the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etseg._errors import LabelError
from etseg._images.kept import KeptImage
from etseg._labels import LabelSet

from . import summary
from .grid import at_size
from .palettes import Colours, colours
from .pictures import Image, blue_first, rgb_of

Map = npt.NDArray[Any]


@dataclass(frozen=True)
class Timings:
    """Wall-clock time of each stage of one forward, in nanoseconds.

    Attributes:
        decode: reading and decoding the image; next to nothing for an array.
        preprocess: resize, normalisation, layout.
        inference: the program.
        postprocess: upsampling, activation, argmax.
        total: the whole call, waiting for its turn included.
    """

    decode: int
    preprocess: int
    inference: int
    postprocess: int
    total: int


class Output(NamedTuple):
    """What the program returned.

    Attributes:
        size: height and width.
        has_scores: False where it returned labels.
    """

    size: tuple[int, int]
    has_scores: bool


class Made(NamedTuple):
    """A result is one of these, looked at by label.

    Attributes:
        labels: of the model.
        argmax: int32 or uint8, (H, W).
        probabilities: of the classes of interest, float32, (H, W), in the order asked for.
        timings: of the call.
        image_size: height and width, as a person sees the image.
        background: index of the label that pictures leave unpainted, if there is one.
        image: what was segmented.
        model: the name of what segmented it.
        output: what the program returned.
    """

    labels: LabelSet
    argmax: Map
    probabilities: Mapping[IntEnum, Map]
    timings: Timings
    image_size: tuple[int, int]
    background: int | None
    image: KeptImage
    model: str
    output: Output

    def member(self, label: object) -> IntEnum:
        """A label by member, name or index.

        Raises:
            LabelError: there is no such label, or it is ARGMAX.
        """
        member = self.labels.find(label)
        if member is None:
            raise LabelError(
                f"{label!r} is the map of all labels' indices, not a label; expected one of them, "
                f"such as {self.labels.members[0].name!r}"
            )
        return member

    def members(self, labels: object) -> tuple[IntEnum, ...]:
        """One label, or several in an iterable: each once, in the order given.

        Raises:
            LabelError: there is no such label, or it is ARGMAX.
        """
        several = isinstance(labels, Iterable) and not isinstance(labels, (str, bytes, Enum))
        chosen: Any = labels if several else [labels]
        return tuple(dict.fromkeys(self.member(label) for label in chosen))

    def checked(self) -> Map:
        """ARGMAX itself, whose values are indices for sure.

        Raises:
            InvalidUserInputError: the array was changed, and holds what is no index.
        """
        count = len(self.labels)
        low, high = int(self.argmax.min()), int(self.argmax.max())
        if low < 0 or high >= count:
            raise summary.no_index(low if low < 0 else high, count)
        return self.argmax

    def indices(self) -> Map:
        """The same as uint8 where all labels fit; raises what :meth:`checked` does."""
        plane = self.checked()
        return plane.astype(np.uint8, copy=False) if len(self.labels) <= 256 else plane

    def extents(self) -> npt.NDArray[np.int64]:
        """Of each label its pixels and its box in the image, as :func:`summary.extents` has them.

        Raises:
            InvalidUserInputError: the array was changed, and holds what is no index.
        """
        return summary.extents(self.argmax, self.image_size, len(self.labels))

    def counts(self, step: int) -> npt.NDArray[np.int64]:
        """How many of the maps' pixels each label has, of every `step`-th row and column."""
        plane = self.argmax[::step, ::step]
        height, width = plane.shape
        return summary.extents(plane, (height, width), len(self.labels))[:, 0]

    def image_indices(self) -> Map:
        """The same, of the image's size."""
        return at_size(self.indices(), self.image_size)

    def image_mask(self, *members: IntEnum) -> npt.NDArray[np.uint8]:
        """Ones where the image has one of these labels, (height, width) of the image."""
        if len(members) == 1:
            there = self.argmax == int(members[0])
        else:
            there = np.isin(self.argmax, [int(member) for member in members])
        return at_size(there.view(np.uint8), self.image_size)

    def colours(self, palette: object) -> Colours:
        """What a palette gives to the labels; raises what :func:`palettes.colours` does."""
        return colours(palette, self.labels, self.background)

    def in_callers_order(self, picture: Image) -> Image:
        """A picture (H, W, 3) or (H, W, 4), red first; blue first if forward() was told so."""
        return blue_first(picture) if self.image.bgr else picture

    def image_pixels(self, image: object) -> Image:
        """The pixels of `image`, or where it is None of what was segmented: (H, W, 3), red first.

        Raises:
            InvalidUserInputError: no image is at hand, or it has another size.
            EtsegError: whatever reading it raises.
        """
        return rgb_of(self.image.read(image, self.image_size))
