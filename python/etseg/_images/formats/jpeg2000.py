"""JPEG 2000: the first codestream, as far as it says what OpenJPEG will make room for.

Besides the pixels those are structures for each tile, precinct and layer, which a few bytes can ask
for by the million.
"""

from __future__ import annotations

from typing import NamedTuple

from .boxes import boxes
from .header import MAX_PARTS, BadHeader, Header, View

_START, _SIZE = 0xFF4F, 0xFF51
_CODING, _CODING_OF_COMPONENT = 0xFF52, 0xFF53
_TILE_PART, _DATA, _END = 0xFF90, 0xFF93, 0xFFD9
#: Those of the standard's first part, but for a second size.
_KNOWN = {
    *(0xFF00 + low for low in (0x52, 0x53, 0x55, 0x57, 0x58, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61)),
    *(0xFF63, 0xFF64, _TILE_PART),
}
_FEWEST = 1024  # tiles or precincts that any image may have

_MANY = "its {} are far too many for its size"


class _Size(NamedTuple):
    width: int
    height: int
    tiles: int
    components: int


def read(view: View) -> Header:
    """The size by the codestream: the boxes around it may say anything."""
    stream = view
    if view.copy(0, 4) != b"\xff\x4f\xff\x51":
        stream = next((content for kind, content in boxes(view) if kind == b"jp2c"), View(_NONE))
    size = _size(stream)
    _check_main_header(stream.part(4 + stream.number(">H", 4), len(stream)), size)
    return Header("JPEG 2000", size.height, size.width)


_NONE = memoryview(b"")


def _size(stream: View) -> _Size:
    if stream.unpack(">HH", 0) != (_START, _SIZE):
        raise BadHeader
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = (
        stream.unpack(">8IH", 8)
    )
    width, height = right - left, bottom - top
    if min(width, height, tile_width, tile_height) <= 0 or tile_left > left or tile_top > top:
        raise BadHeader
    if not 1 <= components <= 4:
        raise BadHeader("a JPEG 2000 of more than four channels, which is not read")
    for at in range(42, 42 + 3 * components, 3):
        depth, down, across = stream.unpack("BBB", at)
        if depth > 15 or down != 1 or across != 1:
            raise BadHeader(
                "a JPEG 2000 with signed, deep or subsampled channels, which is not read"
            )
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _FEWEST + width * height // 4096:
        raise BadHeader(_MANY.format("tiles"))
    return _Size(width, height, tiles, components)


def _check_main_header(stream: View, size: _Size) -> None:
    for marker, start, end in _segments(stream, 0):
        coding = stream.part(start, end)
        if marker == _CODING:
            _check_coding(coding, 0, 5, size, layers=coding.number(">H", 2))
        elif marker == _CODING_OF_COMPONENT:
            _check_coding(coding, 1, 2, size, layers=1)
        elif marker == _TILE_PART:
            _check_tile_parts(stream, start - 4)


def _segments(stream: View, position: int) -> list[tuple[int, int, int]]:
    """Marker, start and end of the payload of each segment, up to the first tile-part or data."""
    found: list[tuple[int, int, int]] = []
    for _ in range(MAX_PARTS):
        marker = stream.number(">H", position)
        if marker in (_DATA, _END):
            return found
        if marker not in _KNOWN:  # OpenJPEG looks for the next one inside it
            raise BadHeader("a JPEG 2000 with extensions, which are not read")
        end = position + 2 + stream.number(">H", position + 2)
        if not position + 4 <= end <= len(stream):
            raise BadHeader
        found.append((marker, position + 4, end))
        if marker == _TILE_PART:
            return found
        position = end
    raise BadHeader


def _check_tile_parts(stream: View, position: int) -> None:
    """That none changes how the image is coded."""
    for _ in range(MAX_PARTS):
        if position + 12 > len(stream) or stream.number(">H", position) != _TILE_PART:
            return
        length = stream.number(">I", position + 6)
        segments = _segments(stream, position + 12)
        if any(marker in (_CODING, _CODING_OF_COMPONENT) for marker, _, _ in segments):
            raise BadHeader(
                "a JPEG 2000 whose tiles are coded in different ways, which is not read"
            )
        if length == 0:
            return
        if length < 14:
            raise BadHeader
        position += length
    raise BadHeader


def _check_coding(coding: View, style_at: int, at: int, size: _Size, layers: int) -> None:
    """That precincts, code blocks and layers are no more than an image of this size may have."""
    levels, block_width, block_height = coding.unpack("BBB", at)
    if levels > 32 or (block_width & 15) < 2 or (block_height & 15) < 2:
        raise BadHeader("a JPEG 2000 of code blocks below 16x16, which is not read")
    precincts = []
    for level in range(levels + 1):
        across, down = 15, 15
        if coding.number("B", style_at) & 1:
            both = coding.number("B", at + 5 + level)
            across, down = both & 15, both >> 4
        shift = levels - level
        width, height = -(-size.width >> shift), -(-size.height >> shift)
        precincts.append(-(-width >> across) * -(-height >> down))
    pixels = size.width * size.height
    if sum(precincts) > _FEWEST + pixels // 256:
        raise BadHeader(_MANY.format("precincts"))
    if max(precincts) * len(precincts) * layers > 1024 * _FEWEST + pixels:
        raise BadHeader(_MANY.format("layers"))
