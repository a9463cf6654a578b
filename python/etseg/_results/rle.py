"""COCO's run-length encoding of masks, as pycocotools writes it.

The runs of zeros and ones of the mask alternate, zeros first, column by column. Compressed, a run
is a whole number, from the fourth on less the run two before it, in groups of five bits, the lowest
first, each one character: 48 + bits, + 32 if more follow. The highest bit of the last group is the
sign. (cocoapi, common/maskApi.c, rleEncode and rleToString.)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from . import summary
from .made import Made


def encoded(made: Made, members: Sequence[IntEnum]) -> list[dict[str, Any]]:
    """Of each of these labels its mask in the image, as COCO's tools and JSON take it."""
    counts = summary.runs(made.argmax, made.image_size, members)
    return [{"size": list(made.image_size), "counts": each} for each in counts]
