"""AV1: the size that a stream's sequence headers allow its frames."""

from __future__ import annotations

from .header import MAX_PARTS, BadHeader, View

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME, _TILE_LIST = 1, 3, 6, 8
#: A still picture has one, one in layers up to four. More may be decoded and never shown.
_MAX_FRAMES = 8


def stream_size(stream: View) -> tuple[int, int]:
    """Width and height, the same in all of its sequence headers; no frame may be larger.

    Raises:
        BadHeader: it is damaged, or of a kind that still pictures are not.
    """
    sizes = set()
    position = frames = 0
    for _ in range(MAX_PARTS):
        if position >= len(stream):
            break
        flags = stream.number("B", position)
        position += 2 if flags & 4 else 1
        kind = flags >> 3 & 15
        if flags & 0x80 or kind == _TILE_LIST:
            raise BadHeader
        frames += kind in (_FRAME, _FRAME_HEADER)
        if frames > _MAX_FRAMES:
            raise BadHeader("its stream has the frames of a film")
        length = len(stream) - position
        if flags & 2:
            length, position = _leb128(stream, position)
        unit = stream.part(position, position + length)
        if kind == _SEQUENCE_HEADER:
            sizes.add(_sequence_size(_Bits(unit)))
        position += length
    else:
        raise BadHeader
    if len(sizes) != 1:
        raise BadHeader("its stream says no size, or several")
    return sizes.pop()


def _leb128(view: View, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for index in range(8):
        byte = view.number("B", at + index)
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise BadHeader


class _Bits:
    """The bits of a unit, from the first byte's highest."""

    def __init__(self, view: View) -> None:
        head = view.copy(0, min(len(view), 512))  # a sequence header is much shorter
        self._value = int.from_bytes(head, "big")
        self._left = 8 * len(head)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise BadHeader
        return self._value >> self._left & (1 << count) - 1


def _sequence_size(bits: _Bits) -> tuple[int, int]:
    bits.take(4)  # profile, still picture
    reduced = bits.take(1)  # a still picture's header, whose frame cannot be of another size
    if reduced:
        bits.take(5)
    else:
        if bits.take(1):
            raise BadHeader("its stream has the timing of a film")
        delay = bits.take(1)
        for _ in range(bits.take(5) + 1):  # operating points
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delay and bits.take(1):
                bits.take(4)
    sides = []
    lengths = bits.take(4) + 1, bits.take(4) + 1
    for length in lengths:
        side = bits.take(length) + 1
        # Not every decoder holds frames that say their own size to this one. They have as many
        # bits for it; encoders that need one less for a power of two take that one, too.
        if not reduced and length > side.bit_length():
            raise BadHeader("its stream allows frames larger than the image")
        sides.append(side)
    return sides[0], sides[1]
