"""A result as a file: a PNG of label indices with their colours, or all maps as numpy arrays."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

#: The most that the index of a pixel of a PNG with a palette can tell apart.
MAX_COLOURS = 256


def write_palette_png(
    file: BinaryIO, indices: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]
) -> None:
    """Writes an 8-bit PNG with a palette (PNG specification, third edition: colour type 3).

    OpenCV writes none, and Pillow is not required.

    Args:
        file: opened for writing bytes.
        indices: (H, W), each below the number of colours.
        palette: (N, 3), red first, at most 256.
    """
    height, width = indices.shape
    # Each row begins with the number of its filter; 0, none, is the one for indices.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = indices
    # Of label maps this is as fast as level 1, and smaller than level 6.
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    data = packer.compress(rows.data) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, payload in (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", data),
        (b"IEND", b""),
    ):
        checksum = zlib.crc32(payload, zlib.crc32(kind))
        file.write(struct.pack(">I", len(payload)) + kind)
        file.write(payload)
        file.write(struct.pack(">I", checksum))


def write_npz(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays under their names, as numpy.savez does; it takes no array named "file"."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
