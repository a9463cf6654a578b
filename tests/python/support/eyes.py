"""Images as files, and the pixels that forward() saw in them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

import etseg
from programs import program

Pixels = npt.NDArray[np.uint8]

#: Of `stored`, by EXIF orientation: what a person is to see.
UPRIGHT: dict[int, Any] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.swapaxes(np.rot90(stored, 2), 0, 1),
    8: np.rot90,
}


def stored_for(upright: Pixels, orientation: int) -> Pixels:
    """What to store, so that a person sees `upright`."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    return np.ascontiguousarray(UPRIGHT[back](upright))


def eyes(**options: Any) -> etseg.ImageSegmentationModule:
    """A module whose program returns its input: (24, 40), red, green and blue."""
    module = etseg.ImageSegmentationModule(**options)
    module.load({"model_source": program("identity"), "activation": "none", "labels": list("RGB")})
    return module


def seen(module: etseg.ImageSegmentationModule, image: object, **options: Any) -> Pixels:
    """The pixels of an image, as the program got them."""
    result = module.forward(image, list("RGB"), **options)
    planes = np.stack([result[name] for name in "RGB"], axis=-1)
    return np.rint(planes * 255).astype(np.uint8)


def smooth(height: int = 24, width: int = 40) -> Pixels:
    """Colours that change slowly, so that lossy files keep them, and differ in all corners."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    planes = [40 + 200 * x, 220 - 180 * y, 30 + 100 * x * y + 90 * (1 - x) * y]
    return np.stack(planes, axis=-1).astype(np.uint8)


def encoded(
    image: Pixels | Pil.Image, kind: str, orientation: int | None = None, **options: Any
) -> bytes:
    """An image file that Pillow writes."""
    if isinstance(image, np.ndarray):
        image = Pil.fromarray(image)
    if orientation is not None:
        exif = Pil.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk of a PNG file, its checksum right."""
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
    )


def png16(image: npt.NDArray[np.uint16]) -> bytes:
    """A PNG file of 16 bits a channel, which Pillow does not write: (H, W, 3) or (H, W)."""
    height, width = image.shape[:2]
    rows = image.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    colour = 2 if image.ndim == 3 else 0
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def tiff16(image: npt.NDArray[np.uint16], orientation: int = 1) -> bytes:
    """A TIFF file of 16 bits a channel, one uncompressed strip."""
    height, width = image.shape[:2]
    pixels = image.astype("<u2").tobytes()
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8), (274, 3, orientation), (277, 3, 1), (278, 4, height)]
    tags += [(279, 4, len(pixels))]
    if image.ndim == 3:
        tags[2], tags[4] = (258, 3, 0), (262, 3, 2)
        tags[7] = (277, 3, 3)
    entries = b""
    bits = 8 + len(pixels)
    for tag, kind, value in tags:
        if (tag, value) == (258, 0):
            entries += struct.pack("<HHII", 258, 3, 3, bits)
        elif kind == 3:
            entries += struct.pack("<HHIHH", tag, 3, 1, value, 0)
        else:
            entries += struct.pack("<HHII", tag, kind, 1, value)
    where = bits + 8
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return (
        b"II*\0"
        + struct.pack("<I", where)
        + pixels
        + struct.pack("<HHHH", 16, 16, 16, 0)
        + directory
    )
