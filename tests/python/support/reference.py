"""What etseg computes, said slowly: plain numpy, float64, one rule a function.

Nothing here imports etseg, and nothing is shared with it. Positions in an image are exact
fractions, kept as integers: output i of `target` lies at
((2i + 1) * source - target) / (2 * target) in a source of `source` pixels, because pixel centres
are at one half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


# ---- Positions.


def taps(source: int, target: int) -> tuple[AnyArray, AnyArray, Array]:
    """Of each output, along one axis: the two source pixels it lies between, and the weight of
    the second. Outputs beyond the centre of an edge pixel have that pixel's value.
    """
    numerator = (2 * np.arange(target) + 1) * source - target  # integers: exact
    numerator = np.clip(numerator, 0, 2 * target * (source - 1))
    low, rest = np.divmod(numerator, 2 * target)
    high = np.minimum(low + 1, source - 1)
    return low, high, rest / (2 * target)


def triangle(source: int, target: int) -> Array:
    """The antialiasing filter of one axis as a matrix (target, source).

    A triangle around each output's position, as wide as the reduction (never narrower than two
    source pixels), cut off at the edges of the image, its weights summing to 1.
    """
    reach = max(source / target, 1.0)
    centre = (np.arange(target) + 0.5) * source / target
    distance = np.abs(np.arange(source) + 0.5 - centre[:, None]) / reach
    weights = np.maximum(1.0 - distance, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


# ---- Stage 1: image to input.


def resize_bilinear(planes: AnyArray, height: int, width: int) -> Array:
    """(..., H, W) to (..., height, width), two taps an axis whatever the scale."""
    top, bottom, down = taps(planes.shape[-2], height)
    left, right, across = taps(planes.shape[-1], width)
    upper, lower = planes[..., top, :], planes[..., bottom, :]
    # Columns first: of a large image, only the pixels with a weight become float64.
    upper = upper[..., left] * (1.0 - across) + upper[..., right] * across
    lower = lower[..., left] * (1.0 - across) + lower[..., right] * across
    return np.asarray(upper * (1.0 - down)[:, None] + lower * down[:, None], np.float64)


def resize_antialias(planes: AnyArray, height: int, width: int) -> Array:
    """(..., H, W) to (..., height, width), as Pillow and torchvision (antialias=True) do."""
    rows = triangle(planes.shape[-2], height)
    columns = triangle(planes.shape[-1], width)
    return np.asarray(rows @ planes.astype(np.float64) @ columns.T, np.float64)


def preprocess(
    image: npt.NDArray[np.uint8],
    size: tuple[int, int],
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    resample: str = "bilinear",
) -> Array:
    """A uint8 image (H, W, 3), (H, W, 4) or (H, W) as the model's input (3, height, width)."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    planes = image[..., :3].transpose(2, 0, 1)
    resize = {"bilinear": resize_bilinear, "antialias": resize_antialias}[resample]
    scaled = resize(planes, *size) / 255.0
    return np.asarray(
        (scaled - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)), np.float64
    )


# ---- Stage 3: logits to maps.


@dataclass(frozen=True)
class Maps:
    """What postprocessing gives for the rows asked for.

    `gap` is how far the most probable label is ahead of the next, in probability: where it is
    tiny, rounding decides ARGMAX.
    """

    argmax: AnyArray  # (rows, W)
    probabilities: Array  # (labels, rows, W)
    gap: Array  # (rows, W)


def upsample(
    planes: AnyArray, size: tuple[int, int], rows: slice = slice(None)
) -> tuple[Array, AnyArray]:
    """(C, h, w) bilinearly at the rows asked for of a `size`; and where the result is void: where
    a source pixel with any weight has a value that is not finite, in any plane.
    """
    top, bottom, down = (axis[rows] for axis in taps(planes.shape[1], size[0]))
    left, right, across = taps(planes.shape[2], size[1])
    void = np.asarray(~np.isfinite(planes).all(axis=0))
    finite = np.where(void, 0.0, planes).astype(np.float64)
    value = np.zeros((planes.shape[0], len(top), size[1]))
    touched = np.zeros(value.shape[1:], bool)
    for y, y_weight in ((top, 1.0 - down), (bottom, down)):
        for x, x_weight in ((left, 1.0 - across), (right, across)):
            weight = y_weight[:, None] * x_weight
            value += finite[:, y][:, :, x] * weight
            touched |= void[y][:, x] & (weight > 0.0)
    return value, touched


def activate(values: Array, activation: str) -> Array:
    """Probabilities of (C, ...) upsampled values; of one channel too, one plane."""
    if activation == "none":
        return values
    if activation == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-values)), np.float64)
    powers = np.exp(values - values.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0), np.float64)


def postprocess(
    logits: AnyArray, size: tuple[int, int], activation: str, rows: slice = slice(None)
) -> Maps:
    """Logits (C, h, w) as the maps of an image of `size`: upsample, activate, argmax."""
    values, void = upsample(logits, size, rows)
    probabilities = activate(values, activation)
    if len(probabilities) == 1:
        foreground = probabilities[0]
        probabilities = np.stack([foreground, 1.0 - foreground])
        argmax = np.where(foreground < 0.5, 1, 0)
    else:
        argmax = probabilities.argmax(axis=0)  # the first of equals
    second, first = np.partition(probabilities, -2, axis=0)[-2:]
    argmax = np.where(void, 0, argmax)
    probabilities[:, void] = np.nan
    return Maps(argmax, probabilities, np.where(void, np.inf, first - second))


# ---- Comparing.


@dataclass(frozen=True)
class Agreement:
    """How well measured maps fit the reference's."""

    wrong: int  # pixels whose ARGMAX differs, although it is not a matter of rounding
    ties: int  # pixels whose ARGMAX differs where rounding decides it
    pixels: int
    error: float  # the largest of any probability; infinite where only one of them is NaN

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.wrong + other.wrong,
            self.ties + other.ties,
            self.pixels + other.pixels,
            max(self.error, other.error),
        )


def agreement(
    expected: Maps, argmax: AnyArray, probabilities: dict[int, AnyArray], tie: float
) -> Agreement:
    """Compares maps (those of the same rows) with the reference's. Where the two most probable
    labels are no more than `tie` apart, either is right.
    """
    differs = argmax != expected.argmax
    error = 0.0
    for label, plane in probabilities.items():
        wanted = expected.probabilities[label]
        if not np.array_equal(np.isnan(plane), np.isnan(wanted)):
            error = np.inf
        elif not np.isnan(wanted).all():
            error = max(error, float(np.nanmax(np.abs(plane - wanted))))
    return Agreement(
        wrong=int(np.count_nonzero(differs & (expected.gap > tie))),
        ties=int(np.count_nonzero(differs & (expected.gap <= tie))),
        pixels=argmax.size,
        error=error,
    )


def compare(
    results: Sequence[tuple[AnyArray, dict[int, AnyArray]]],
    logits: AnyArray,
    activation: str,
    every: int = 1,
    tie: float = 1e-5,
) -> list[Agreement]:
    """Compares whole results (ARGMAX, and maps by label), or every n-th row of them, with what the
    reference makes of the logits; in bands, to bound the memory. The results are of one size.
    """
    size = results[0][0].shape
    total = [Agreement(0, 0, 0, 0.0)] * len(results)
    band = 128 * every
    for start in range(0, size[0], band):
        rows = slice(start, min(start + band, size[0]), every)
        expected = postprocess(logits, size, activation, rows)
        for i, (argmax, maps) in enumerate(results):
            planes = {label: plane[rows] for label, plane in maps.items()}
            total[i] += agreement(expected, argmax[rows], planes, tie)
    return total
