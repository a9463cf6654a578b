"""What one forward made: the maps, and what is known of the image and the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy.typing as npt

from etseg._images.kept import KeptImage
from etseg._labels import LabelSet

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


@dataclass(frozen=True)
class Made:
    """A result is one of these, looked at by label.

    Attributes:
        labels: of the model.
        argmax: int32 or uint8, (H, W).
        probabilities: of the classes of interest, float32, (H, W), in the order asked for.
        timings: of the call.
        image_size: height and width, as a person sees the image.
        background: index of the label that pictures leave unpainted, if there is one.
        image: what was segmented.
    """

    labels: LabelSet
    argmax: Map
    probabilities: Mapping[IntEnum, Map]
    timings: Timings
    image_size: tuple[int, int]
    background: int | None
    image: KeptImage
