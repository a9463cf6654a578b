"""COCO's run-length encoding of masks, as pycocotools writes it.

The runs of zeros and ones of the mask alternate, zeros first, column by column. Compressed, a run
is a whole number, from the fourth on less the run two before it, in groups of five bits, the lowest
first, each one character: 48 + bits, + 32 if more follow. The highest bit of the last group is the
sign. (cocoapi, common/maskApi.c, rleEncode and rleToString.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def run_lengths(mask: npt.NDArray[np.uint8]) -> Counts:
    """Of a mask (H, W) of zeros and ones, column by column: zeros, ones, zeros, ..."""
    from etseg._opencv import cv2

    flat = np.asarray(cv2.transpose(mask)).ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], ends, [flat.size]])
    counts = np.diff(edges).astype(np.int64)
    return np.concatenate([[0], counts]).astype(np.int64) if flat[0] else counts


def compressed(counts: Counts) -> str:
    """The counts as a string."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    # A group a column; in the end, of each row those groups are taken that its number needs.
    characters, needed = [], []
    more = np.ones(len(values), bool)
    while more.any():
        group = values & 0x1F
        values >>= 5
        needed.append(more)
        more = more & np.where(group & 0x10, values != -1, values != 0)
        characters.append(group + np.where(more, 0x20, 0) + 48)
    text = bytes(np.stack(characters, axis=1)[np.stack(needed, axis=1)].astype(np.uint8))
    return text.decode("ascii")


def encoded(mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """A mask (H, W) of zeros and ones as COCO's tools and JSON take it."""
    return {"size": list(mask.shape), "counts": compressed(run_lengths(mask))}
