"""Shapes of labels: areas, boxes, contours. In the image's pixels, whatever the map's size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._labels import ByLabel

from .grid import Cells, cells
from .made import Made

#: x0, y0, x1, y1; half-open.
Box = tuple[int, int, int, int]

#: Pixels of a map that are looked at at once. What is made of them stays in the caches, and costs
#: no page fault: a map's worth of fresh memory takes longer than all the counting.
_BAND = 1 << 17
#: Labels that are faster counted one by one than by a histogram.
_FEW = 4


@dataclass(frozen=True)
class Area:
    """How much of an image a label covers.

    Attributes:
        pixels: of the image.
        share: of all pixels of the image, 0..1.
    """

    pixels: int
    share: float


@dataclass(frozen=True, eq=False)
class Contour:
    """The outline of one connected region, and those of its holes.

    Points are (x, y) of pixel centres, (0, 0) that of the top left pixel, as OpenCV's drawing
    functions and matplotlib take them; every point lies on a pixel of the label, those around a
    hole too. A region of a single pixel is a single point.

    Attributes:
        exterior: float32 (N, 2), x first, closed: the last point is joined to the first.
        holes: likewise, each a hole in the region.
    """

    exterior: npt.NDArray[np.float32]
    holes: tuple[npt.NDArray[np.float32], ...]


def areas_of(made: Made) -> ByLabel[Area]:
    """By label; of all of them."""
    total = made.image_size[0] * made.image_size[1]
    pixels = areas(cells(made.checked(), made.image_size), len(made.labels))
    return ByLabel(
        made.labels,
        {
            member: Area(int(count), int(count) / total)
            for member, count in zip(made.labels.members, pixels, strict=True)
        },
    )


def boxes_of(made: Made, there: ByLabel[Area] | None = None) -> ByLabel[Box]:
    """By label; of those that are there, by their areas if those are known."""
    if there is None:
        there = areas_of(made)
    found = cells(made.checked(), made.image_size)
    members = (member for member in made.labels.members if there[member].pixels)
    return ByLabel(made.labels, {member: box(found, member) for member in members})


def areas(cells: Cells, count: int) -> npt.NDArray[np.int64]:
    """How many pixels of the image each of `count` labels has, int64 (count,)."""
    heights, widths = np.diff(cells.rows), np.diff(cells.columns)
    plain = bool((heights == 1).all() and (widths == 1).all())
    total = np.zeros(count, np.int64)
    for rows in _bands(cells.plane):
        band = cells.plane[rows]
        if plain and count <= 256:
            total += _counted(band.astype(np.uint8, copy=False), count)
        else:
            # Weights are summed in float64: exact, an image has fewer than 2^53 pixels.
            weights = None if plain else np.outer(heights[rows], widths).ravel()
            total += np.bincount(band.ravel(), weights, count).astype(np.int64)
    return total


def box(cells: Cells, index: int) -> Box:
    """The box (x0, y0, x1, y1), half-open, around the pixels of a label that is there."""
    from etseg._opencv import cv2

    index = int(index)  # beside an enum's member numpy widens the map
    left, top, right, bottom = math.inf, math.inf, 0, 0
    for rows in _bands(cells.plane):
        x, y, width, height = cv2.boundingRect((cells.plane[rows] == index).view(np.uint8))
        if width:
            left, right = min(left, x), max(right, x + width)
            top, bottom = min(top, rows.start + y), rows.start + y + height
    return (
        int(cells.columns[int(left)]),
        int(cells.rows[int(top)]),
        int(cells.columns[right]),
        int(cells.rows[bottom]),
    )


def _bands(plane: npt.NDArray[Any]) -> Iterator[slice]:
    """The rows of a map, some at a time."""
    step = max(1, _BAND // plane.shape[1])
    for start in range(0, len(plane), step):
        yield slice(start, min(start + step, len(plane)))


def _counted(band: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64]:
    """How often each of `count` values is there: faster than bincount, which widens them first."""
    if count <= _FEW:  # without OpenCV: the shares of a few labels are all that many calls ask for
        return np.array([np.count_nonzero(band == value) for value in range(count)], np.int64)
    from etseg._opencv import cv2

    # float32, which is exact up to 2^24: no row of an image is that long. (256, 1) before OpenCV 5.
    histogram = cv2.calcHist([band], [0], None, [256], [0, 256])
    return histogram.ravel()[:count].astype(np.int64)


def contours(mask: npt.NDArray[np.uint8], simplify: float) -> tuple[Contour, ...]:
    """The regions of a mask (H, W), the largest first. Diagonal neighbours are connected.

    Args:
        simplify: how far, in pixels, an outline may move, so that it needs fewer points (Douglas
            and Peucker).
    """
    from etseg._opencv import cv2

    found, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return ()
    # Of each outline: the next and the one before of its level, its first hole, its region.
    links = np.asarray(hierarchy).reshape(-1, 4)
    outlines: Any = found
    if simplify > 0:
        # What may move across the whole image may move no further; OpenCV takes no number at all.
        simplify = min(simplify, sum(mask.shape))
        outlines = [cv2.approxPolyDP(outline, simplify, True) for outline in found]
    points = [np.asarray(outline, np.float32).reshape(-1, 2) for outline in outlines]
    holes: dict[int, list[npt.NDArray[np.float32]]] = {}
    for inner in np.flatnonzero(links[:, 3] >= 0):
        holes.setdefault(int(links[inner, 3]), []).append(points[inner])
    regions = np.flatnonzero(links[:, 3] < 0)
    sizes = [cv2.contourArea(found[int(region)]) for region in regions]
    order = regions[np.argsort(np.negative(sizes), kind="stable")]
    return tuple(Contour(points[i], tuple(holes.get(int(i), ()))) for i in order)
