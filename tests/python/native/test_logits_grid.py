"""Logits whose corners are aligned, through the binding: against the formula in numpy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import etseg
from etseg import _native

HEAD = (41, 73)  # what the head would have made of the program's 24 x 40 logits


def segmenter(data: Path, *grid: Any) -> _native.Segmenter:
    model = _native.Model(os.fsencode(data / "programs" / "logits_c3.pte"), 1)
    return _native.Segmenter(model, (0, 0, 0), (1, 1, 1), "none", "bilinear", *grid)


def maps(
    segmenter: _native.Segmenter, image: npt.NDArray[np.uint8], **options: bool
) -> npt.NDArray[np.float32]:
    size = (24, 40) if options.get("own_points") else image.shape[:2]
    argmax = np.empty(size, np.int32)
    planes = [np.empty(size, np.float32) for _ in range(3)]
    segmenter.forward(image, False, argmax, list(enumerate(planes)), **options)
    stacked = np.stack(planes)
    assert np.array_equal(argmax, stacked.argmax(0))
    return stacked


def taps(pixels: int, head: int, logits: int) -> tuple[npt.NDArray[Any], ...]:
    at = np.clip((np.arange(pixels) + 0.5) * head / pixels - 0.5, 0, head - 1)
    at = at * (logits - 1) / (head - 1)
    low = np.minimum(at.astype(int), logits - 2)
    return low, at - low


def aligned(logits: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    y, v = taps(size[0], HEAD[0], logits.shape[1])
    x, u = taps(size[1], HEAD[1], logits.shape[2])
    wide = logits.astype(float)
    rows = wide[:, y] * (1 - v[:, None]) + wide[:, y + 1] * v[:, None]
    return rows[:, :, x] * (1 - u) + rows[:, :, x + 1] * u


@pytest.mark.parametrize("size", [HEAD, (100, 90), (24, 40), (13, 200)])
def test_aligned_corners(data: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    own = maps(segmenter(data), image, own_points=True)
    grid = segmenter(data, "align-corners", HEAD)
    assert np.array_equal(maps(grid, image, own_points=True), own)
    assert np.abs(maps(grid, image) - aligned(own, size)).max() < 2e-6


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (("corners", None), "'corners'.*'half-pixel' or 'align-corners'"),
        (("align-corners", None), "needs grid_size"),
        (("half-pixel", (3, 3)), "'align-corners' only"),
        (("align-corners", (0, 3)), "0x3.*at least 1"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(data: Path, grid: Any, said: str) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=said):
        segmenter(data, *grid)
