"""Where the pixels of a map lie in the image.

One rule: a pixel of the image has the label of the map's pixel in which its centre lies. Centres
are at one half: pixel x of `width` pixels of the image is pixel floor((x + 1/2) * w / width) of a
map that is w wide, in whole numbers. A map of the image's own size is taken as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Size = tuple[int, int]


def taken(length: int, target: int) -> npt.NDArray[np.intp]:
    """Of each of `target` pixels of the image along an axis: the map's pixel, of `length`."""
    return np.asarray((2 * np.arange(target, dtype=np.int64) + 1) * length // (2 * target), np.intp)


def at_size(plane: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """A map (h, w), or a mask, at another size; itself where it has that size."""
    if plane.shape == size:
        return plane
    columns = np.take(plane, taken(plane.shape[1], size[1]), axis=1)
    return np.take(columns, taken(plane.shape[0], size[0]), axis=0)
