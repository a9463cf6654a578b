"""Formats whose size stands at one place: BMP and GIF."""

from __future__ import annotations

from .header import MAX_PARTS, BadHeader, Header, View

_EXTENSION, _PICTURE = 0x21, 0x2C


def read_bmp(view: View) -> Header:
    """The size, by either kind of header that OpenCV reads."""
    size = view.number("<I", 14)
    if size == 12:
        width, height = view.unpack("<HH", 18)
    elif size >= 36:
        width, height = view.unpack("<ii", 18)
    else:
        raise BadHeader
    if width <= 0:
        raise BadHeader
    return Header("BMP", abs(height), width)  # negative: the first row is the top one


def read_gif(view: View) -> Header:
    """The screen, which every picture has to fit.

    The first picture's codes are counted, too: OpenCV takes some 20 microseconds for each of those
    that clear its table, of which a byte has almost three, and which make no pixel.
    """
    width, height, flags = view.unpack("<HHB", 6)
    header = Header("GIF", height, width)
    position = 13 + _table(flags)
    for _ in range(MAX_PARTS):
        kind = view.number("B", position)
        if kind == _EXTENSION:
            position = _end_of_blocks(view, position + 2, len(view), MAX_PARTS)
        elif kind == _PICTURE:
            across, down, flags = view.unpack("<HHB", position + 5)
            pixels = across * down
            start = position + 11 + _table(flags)
            _end_of_blocks(view, start, 4096 + 2 * pixels, MAX_PARTS + pixels // 64)
            return header
        else:
            break
    raise BadHeader


def _table(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_blocks(view: View, position: int, most_bytes: int, most_blocks: int) -> int:
    start = position
    for _ in range(most_blocks):
        length = view.number("B", position)
        position += 1 + length
        if length == 0:
            return position
        if position - start > most_bytes:
            break
    raise BadHeader("its picture has far more codes than pixels")
