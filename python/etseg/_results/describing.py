"""A result in a line."""

from __future__ import annotations

import numpy as np

from etseg._errors import InvalidUserInputError
from etseg._labels import for_people

from .made import Made

#: Pixels that are looked at, at most: so much of any map takes a millisecond or two.
_ENOUGH = 1 << 18
#: The most labels that are named.
_MOST = 4


def described(made: Made) -> str:
    """The image's size, that of the maps if it is another, and what covers most of the image.

    Of labels that were enlarged, which no interpolation made finer, also their own size.

    It is looked at when it is asked for; of a large map, at rows and columns of even distance. So
    shares are given in whole per cent.
    """
    height, width = made.image_size
    size = f"{width}x{height} pixels"
    rows, columns = made.argmax.shape
    if (rows, columns) != (height, width):
        size += f" in maps of {columns}x{rows}"
    own_rows, own_columns = made.output.size
    if not made.output.has_scores and (own_rows, own_columns) != (rows, columns):
        size += f", from labels of {own_columns}x{own_rows}"
    return f"<SegmentationResult of {size}: {_found(made)}>"


def _found(made: Made) -> str:
    step = 1
    while made.argmax.size > _ENOUGH * step * step:
        step += 1
    try:
        counts = made.counts(step)
    except InvalidUserInputError:
        return "ARGMAX was changed"
    total = counts.sum()
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    named = [
        f"{for_people(made.labels.members[i].name)} {_percent(counts[i], total)}"
        for i in order[:_MOST]
    ]
    if len(order) > _MOST:
        named.append(f"{len(order) - _MOST} more")
    return ", ".join(named)


def _percent(count: int, total: int) -> str:
    """In whole per cent; but what is there is not 0, and what is not all is not 100."""
    percent = round(100 * count / total)
    if percent == 0:
        return "< 1 %"
    return "> 99 %" if percent == 100 and count < total else f"{percent} %"
