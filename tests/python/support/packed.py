"""Modules whose packed weights are in files, and what they return."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

import etseg
from etseg import _native
from etseg._weights.entries import Entry, entries

#: Marks of tests about them: each has a cache of its own.
SHARING = [
    pytest.mark.usefixtures("cache"),
    pytest.mark.skipif(
        not _native.can_share_weights(), reason="this build cannot share packed weights"
    ),
]

Maps = list[npt.NDArray[Any]]


def module_of(
    path: Path, mode: Literal["memory", "file"] = "file", concurrency: int = 1
) -> etseg.ImageSegmentationModule:
    """A module that is loaded."""
    module = etseg.ImageSegmentationModule(packed_weights=mode, concurrency=concurrency)
    module.load(path)
    return module


def maps_of(module: etseg.ImageSegmentationModule, seed: int = 0) -> Maps:
    """ARGMAX of noise, and all probabilities where the program has any."""
    size = (*module.input_size, 3)
    image = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    try:
        result = module.forward(image, [label for label in module.labels if label.name != "ARGMAX"])
    except etseg.InvalidUserInputError:  # it returns labels
        result = module.forward(image)
    return [np.array(result[label]) for label in result]


def same(left: Maps, right: Maps) -> bool:
    """Bit for bit, but for the bits of a NaN."""
    pairs = zip(left, right, strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)


def plain(path: Path) -> Maps:
    """What a program returns without files."""
    with module_of(path, "memory") as module:
        return maps_of(module)


def mapped() -> set[str]:
    """The files of packed weights that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if ".packed" in line}


def only_entry() -> Entry:
    """The one that there is."""
    (entry,) = entries()
    return entry
