"""Every format but JPEG, decoded by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .formats import BadHeader, Header
from .quiet import quiet

_Image = npt.NDArray[np.uint8]


def decode_other(data: memoryview, header: Header) -> _Image:
    """The pixels as they are stored, (H, W, 3), blue first.

    Args:
        data: the file, contiguous.
        header: of it.

    Raises:
        BadHeader: it is damaged, or of a kind that is not read; the message says which.
        MemoryError: the pixels do not fit into memory.
    """
    from etseg._opencv import cv2  # 100 ms to import: only when there is something to decode

    if header.essentials:
        data = memoryview(header.essentials())
    elif header.format == "WebP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise BadHeader("the image is cut off before its end")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    scaled = header.maxval not in (255, 65535)
    if scaled:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        with quiet():
            array = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise BadHeader(error.err or str(error)) from error
    if array is None:
        raise BadHeader(
            f"a damaged {header.format}, or one of a kind that OpenCV {cv2.__version__} does not "
            "read"
        )
    if array.shape[:2] != (header.height, header.width):
        raise BadHeader(
            f"its header says {header.width}x{header.height} pixels, but it has "
            f"{array.shape[1]}x{array.shape[0]}"
        )
    return _scaled(array, header.maxval) if scaled else np.asarray(array, np.uint8)


def _scaled(array: npt.NDArray[Any], maxval: int) -> _Image:
    """From 0..maxval to 0..255; what is above the largest value is white."""
    table = np.arange(256 if maxval < 256 else 65536, dtype=np.uint32)
    table = (np.minimum(table, maxval) * 255 + maxval // 2) // maxval
    scaled: _Image = table.astype(np.uint8)[array]
    return scaled
