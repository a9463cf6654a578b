"""What an encoded image says about itself before it is decoded: format, size, orientation.

OpenCV gives neither size nor orientation without decoding, and does not turn every format upright.
imagesize 2.0 was the other candidate: it reads no orientation of PNG and WebP, no mirroring of
AVIF, and fails on AVIF files that are rotated.

Nothing here trusts a length or an offset: a header that lies ends in ``None``, or in a size that
the decoder will not confirm.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

_EXIF = b"Exif\0\0"
_MARKER = re.compile(rb"\xff+[^\xff]", re.DOTALL)

#: No honest file has more segments, chunks or boxes; a crafted one would keep Python busy.
_MAX_PARTS = 100_000


class Header(NamedTuple):
    """Of the stored image, before it is turned upright."""

    format: str
    height: int
    width: int
    orientation: int = 1  # EXIF's 1..8, still to be applied; the decoder of TIFF does it itself
    channels: int = 0  # of a JPEG
    progressive: bool = False


def read_header(data: memoryview) -> Header | None:
    """The header of an encoded image, or None if its format is none of those in ``_READERS``."""
    for pattern, reader in _READERS:
        if pattern.match(data):
            try:
                header = reader(data)
            except (struct.error, IndexError):  # cut off within the header
                return None
            return header if header and header.height > 0 and header.width > 0 else None
    return None


def is_known(data: memoryview) -> bool:
    """Whether the data begins as one of the formats does."""
    return any(pattern.match(data) for pattern, _ in _READERS)


def upright_size(header: Header) -> tuple[int, int]:
    """Height and width as a person sees the image."""
    if header.orientation >= 5:
        return header.width, header.height
    return header.height, header.width


def png_chunks(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each chunk, up to IEND. The payload lies 8 behind the start."""
    position = 8
    for _ in range(_MAX_PARTS):
        if position + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            return
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end


def _jpeg(data: memoryview) -> Header | None:
    orientation, position = 1, 2
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, position)  # bytes between segments are forgiven
        if found is None:
            return None
        marker, position = found[0][-1], found.end()
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue  # no payload
        if marker in (0xD9, 0xDA):
            return None  # the pixels begin or end, and nobody said how many
        (length,) = struct.unpack_from(">H", data, position)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, channels = struct.unpack_from(">HHB", data, position + 3)
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            return Header("JPEG", height, width, orientation, channels, progressive)
        if marker == 0xE1 and bytes(data[position + 2 : position + 8]) == _EXIF:
            orientation = _exif_orientation(data[position + 8 : position + length])
        position += length
    return None


def _png(data: memoryview) -> Header | None:
    header = None
    for kind, start, end in png_chunks(data):
        if header is None:  # IHDR is the first, and its CRC is checked before OpenCV believes it
            width, height = struct.unpack_from(">II", data, start + 8)
            header = Header("PNG", height, width) if kind == b"IHDR" else None
            if header is None:
                return None
        elif kind == b"eXIf":
            return header._replace(orientation=_exif_orientation(data[start + 8 : end - 4]))
    return header


def _webp(data: memoryview) -> Header | None:
    kind, flags = bytes(data[12:16]), data[20]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("WebP", height & 0x3FFF, width & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WebP", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if kind != b"VP8X":
        return None
    width = int.from_bytes(data[24:27], "little") + 1
    height = int.from_bytes(data[27:30], "little") + 1
    header = Header("WebP", height, width)
    position = 12
    while flags & 0x08 and position + 8 <= len(data):  # the flag: there is EXIF somewhere
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            exif = data[position + 8 : position + 8 + length]
            if bytes(exif[:6]) == _EXIF:  # some writers keep what JPEG has in front of it
                exif = exif[6:]
            return header._replace(orientation=_exif_orientation(exif))
        position += 8 + length + length % 2
    return header


def _bmp(data: memoryview) -> Header | None:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<hh" if size == 12 else "<ii", data, 18)
    return Header("BMP", abs(height), abs(width))  # negative: the first row is the top one


def _tiff(data: memoryview) -> Header | None:
    tags = _tiff_tags(data)
    height, width = tags.get(257, 0), tags.get(256, 0)
    if tags.get(274, 1) in range(5, 9):  # OpenCV turns the image upright
        height, width = width, height
    return Header("TIFF", height, width)


def _gif(data: memoryview) -> Header | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", height, width)


def _avif(data: memoryview) -> Header | None:
    """The largest of the sizes given (tiles, thumbnails and alpha have theirs), and the turns."""
    header = None
    quarters, mirror = 0, None
    for meta in _boxes(data, b"meta"):
        for properties in _boxes(meta[4:], b"iprp"):
            for container in _boxes(properties, b"ipco"):
                for box in _boxes(container, b"ispe"):
                    width, height = struct.unpack_from(">II", box, 4)
                    if header is None or height * width > header.height * header.width:
                        header = Header("AVIF", height, width)
                for box in _boxes(container, b"irot"):
                    quarters = box[0] & 3  # anticlockwise, and before the mirroring
                for box in _boxes(container, b"imir"):
                    mirror = box[0] & 1  # 0: top and bottom change places; 1: left and right
    turn = {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[mirror][quarters]
    return header._replace(orientation=turn) if header else None


def _boxes(data: memoryview, wanted: bytes) -> Iterator[memoryview]:
    position = 0
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1:
            head = 16
            (length,) = struct.unpack_from(">Q", data, position + 8)
        end = len(data) if length == 0 else position + length
        if end < position + head:
            return
        if kind == wanted:
            yield data[position + head : end]
        position = end


def _jpeg2000(data: memoryview) -> Header | None:
    """From the codestream: the boxes around it may say anything."""
    found = re.search(rb"\xff\x4f\xff\x51", data)
    if found is None:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, found.start() + 8)
    return Header("JPEG 2000", bottom - top, right - left)


def _netpbm(data: memoryview) -> Header | None:
    head = re.match(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)", bytes(data[:4096]))
    return Header("PNM", int(head[2][:9]), int(head[1][:9])) if head else None


def _exif_orientation(exif: memoryview) -> int:
    try:
        orientation = _tiff_tags(exif).get(274, 1)
    except (struct.error, IndexError):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: memoryview) -> dict[int, int]:
    """The whole numbers, 2 or 4 bytes wide, of the first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        return {}
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    tags = {}
    for entry in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in (3, 4):
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return tags


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[memoryview], Header | None]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"II\*\0|MM\0\*"), _tiff),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"....ftyp(?:avif|avis|mif1)", re.DOTALL), _avif),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), _jpeg2000),
    (re.compile(rb"P[1-6]\s"), _netpbm),
)
