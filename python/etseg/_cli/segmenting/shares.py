"""What is told of each label in a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from etseg._results.result import SegmentationResult

from .wishes import Wishes


@dataclass(frozen=True)
class Share:
    """Of one label in one photo.

    Attributes:
        label: its name.
        index: likewise.
        pixels: of the photo.
        share: of all its pixels, 0..1.
        mean: of its probability; None if it was not asked for, or some of it is no number.
        box: around its pixels, x0, y0, x1, y1, half-open; None where there is none, or no wish.
        rle: its mask as COCO has it; likewise.
    """

    label: str
    index: int
    pixels: int
    share: float
    mean: float | None = None
    box: tuple[int, int, int, int] | None = None
    rle: dict[str, Any] | None = None


def shares_of(result: SegmentationResult, wishes: Wishes) -> list[Share]:
    """Of the labels that are there, or of those that were chosen; the largest first."""
    boxes = result.boxes() if wishes.in_full else {}
    shares = []
    for label, area in result.areas().items():
        chosen = label in wishes.classes
        if not (chosen if wishes.classes else area.pixels):
            continue
        mean = float(np.mean(result[label])) if chosen else None
        if mean is not None and not math.isfinite(mean):
            mean = None  # JSON has no NaN
        there = wishes.in_full and area.pixels > 0
        shares.append(
            Share(
                label.name,
                int(label),
                area.pixels,
                area.share,
                mean,
                boxes[label] if there else None,
                result.to_coco_rle(label) if there else None,
            )
        )
    return sorted(shares, key=lambda share: -share.pixels)
