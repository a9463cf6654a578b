"""Median and spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np


class Summary(TypedDict):
    """Of one quantity over the rounds."""

    median: float
    p10: float
    p90: float


def summary(values: Sequence[float]) -> Summary:
    """Median, 10th and 90th percentile."""
    low, middle, high = (float(v) for v in np.percentile(values, (10, 50, 90)))
    return {"median": middle, "p10": low, "p90": high}


def milliseconds(value: float) -> str:
    """Three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
