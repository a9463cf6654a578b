"""Shapes of labels: areas, boxes, contours. In the image's pixels, whatever the map's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._labels import ByLabel

from .made import Made

#: x0, y0, x1, y1; half-open.
Box = tuple[int, int, int, int]


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
    pixels = made.extents()[:, 0].tolist()
    return ByLabel(
        made.labels,
        {
            member: Area(count, count / total)
            for member, count in zip(made.labels.members, pixels, strict=True)
        },
    )


def boxes_of(made: Made) -> ByLabel[Box]:
    """By label; of those that are there."""
    found = zip(made.labels.members, made.extents().tolist(), strict=True)
    return ByLabel(made.labels, {member: tuple(box) for member, (pixels, *box) in found if pixels})


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
