"""JPEG: the segments up to the one that says the size."""

from __future__ import annotations

import re

from .exif import EXIF, orientation_of
from .header import MAX_PARTS, BadHeader, Header, View

_MARKER = re.compile(rb"\xff")
_AFTER_MARKERS = re.compile(rb"[^\xff]")


def read(view: View) -> Header:
    """The first frame's header, the EXIF orientation before it, and whether a scan has it all.

    The decoder is asked for the size, too, before it decodes.
    """
    header: Header | None = None
    orientation, position = 1, 2
    for _ in range(MAX_PARTS):
        # Bytes between segments are forgiven. In two steps: as one pattern, each of many 0xff
        # would be tried with all that follow.
        position = view.find(_AFTER_MARKERS, view.find(_MARKER, position))
        marker, position = view.number("B", position), position + 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue  # no payload
        if marker == 0xD9 or (marker == 0xDA and header is None):
            break  # the pixels begin or end, and nobody said how many
        length = view.number(">H", position)
        if marker == 0xDA and header is not None:
            partial = view.number("B", position + 2) < header.channels
            return header._replace(several_scans=header.several_scans or partial)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and header is None:
            height, width, channels = view.unpack(">HHB", position + 3)
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            header = Header("JPEG", height, width, orientation, channels, progressive)
        elif marker == 0xE1 and view.raw(position, position + length)[2:8] == EXIF:
            orientation = orientation_of(view.part(position + 8, position + length))
        position += length
    raise BadHeader
