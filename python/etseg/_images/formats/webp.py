"""WebP: the first chunk, which libwebp holds all others to."""

from __future__ import annotations

from .exif import EXIF, orientation_of
from .header import MAX_PARTS, BadHeader, Header, View

_HAS_EXIF = 0x08


def read(view: View) -> Header:
    """The size of the picture, or of the canvas that all pictures have to fit."""
    kind = view.copy(12, 16)
    if kind == b"VP8 ":
        width, height = view.unpack("<HH", 26)
        return Header("WebP", height & 0x3FFF, width & 0x3FFF)
    if kind == b"VP8L":
        bits = view.number("<I", 21)
        return Header("WebP", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise BadHeader
    width = int.from_bytes(view.copy(24, 27), "little") + 1
    height = int.from_bytes(view.copy(27, 30), "little") + 1
    orientation = _orientation(view) if view.number("B", 20) & _HAS_EXIF else 1
    return Header("WebP", height, width, orientation)


def _orientation(view: View) -> int:
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(view):
            break
        kind, length = view.unpack("<4sI", position)
        if kind == b"EXIF":
            start, end = position + 8, min(position + 8 + length, len(view))
            if view.raw(start, end)[:6] == EXIF:  # some writers keep what JPEG has before it
                start += 6
            return orientation_of(view.part(start, end))
        position += 8 + length + length % 2
    return 1
