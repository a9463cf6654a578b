"""What a label map says of an image, found natively: pixels, boxes, runs.

A map may have another size than its image: then :mod:`grid`'s rule holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg import _native
from etseg._errors import InvalidUserInputError

from .grid import Size

#: Columns of what :func:`extents` returns: pixels, then a half-open box, x0, y0, x1, y1.
_EXTENT = 5


def extents(plane: npt.NDArray[Any], size: Size, count: int) -> npt.NDArray[np.int64]:
    """Of each of `count` labels its pixels and its box in the image, int64 (count, 5).

    Args:
        plane: uint8 or int32, (H, W), of indices of labels.
        size: of the image: height and width.
        count: of labels.

    Returns:
        a row a label: pixels, x0, y0, x1, y1, all 0 of a label that is not there.

    Raises:
        InvalidUserInputError: the map holds what is no index.
    """
    found = np.empty((count, _EXTENT), np.int64)
    lowest, highest = _native.measure_labels(np.ascontiguousarray(plane), *size, found)
    if lowest <= highest:
        raise no_index(lowest if lowest < 0 else highest, count)
    return found


def runs(plane: npt.NDArray[Any], size: Size, labels: Sequence[int]) -> list[str]:
    """Of each of these labels the runs of its mask in the image, as COCO's tools compress them.

    Args:
        plane: uint8 or int32, (H, W); what is none of the labels is outside of all masks.
        size: of the image: height and width.
        labels: indices, each once.
    """
    chosen = np.array(labels, np.int64)
    return _native.encode_runs(np.ascontiguousarray(plane), *size, chosen)


def no_index(value: int, count: int) -> InvalidUserInputError:
    """Of an ARGMAX of `count` labels that holds this value, which is none of their indices."""
    return InvalidUserInputError(
        f"ARGMAX holds {value}, but indices go from 0 to {count - 1}: the array was changed, or "
        "its forward failed; run forward again"
    )
