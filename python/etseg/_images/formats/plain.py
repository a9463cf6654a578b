"""Formats whose size stands at one place: BMP and GIF."""

from __future__ import annotations

from .header import BadHeader, Header, View


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
    """The screen, which every picture has to fit."""
    width, height = view.unpack("<HH", 6)
    return Header("GIF", height, width)
