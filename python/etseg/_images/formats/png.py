"""PNG, taken apart and put together anew, so that libpng finds nothing to say about it.

OpenCV's libpng writes to stderr what it thinks of a file, which no setting prevents. So it gets
none but the essential chunks, and their content only after it was checked: the header's fields, the
palette's length, the checksums, and of the pixels that they inflate and that each row begins with a
filter that exists. They are inflated here, and handed on in stored blocks, which cost a copy.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .exif import orientation_of
from .header import MAX_PARTS, BadHeader, Header, View

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MAX_SIDE = 1_000_000  # libpng's own limit
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PALETTE = 3
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_FILTERS = b"\0\1\2\3\4"
#: The rows and columns of an interlaced image: first row, first column, steps.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # fmt: skip  # noqa: E501
_BLOCK = 65535  # the longest stored block
_PIECE = 1 << 14
_MAX_CHUNK = (1 << 31) - 1
_ZLIB = b"\x78\x01"  # deflate, 32 KiB, no dictionary, fastest


_IEND = bytes(4) + b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")


def read(view: View) -> Header:
    """The size from the first chunk, and the orientation from an eXIf chunk, if there is one."""
    header = None
    for kind, start, end in _chunks(view):
        if header is None:
            if kind != b"IHDR" or end - start != 25:
                raise BadHeader
            width, height = view.unpack(">II", start + 8)
            header = Header("PNG", height, width, essentials=lambda: _essentials(view))
        elif kind == b"eXIf":
            return header._replace(orientation=orientation_of(view.part(start + 8, end - 4)))
    if header is None:
        raise BadHeader
    return header


def _chunks(view: View) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each chunk, up to IEND. The payload lies 8 behind the start."""
    position = 8
    for _ in range(MAX_PARTS):
        if position + 12 > len(view):
            return
        length, kind = view.unpack(">I4s", position)
        end = position + 12 + length
        if end > len(view):
            return
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end


def _essentials(view: View) -> memoryview:
    """The file with nothing in it but what the pixels depend on."""
    head, palette, compressed = _parts(view)
    passes = _passes(head)
    begin = SIGNATURE + _chunk(b"IHDR", head)
    if head[9] == _PALETTE:
        begin += _chunk(b"PLTE", _full(palette, head[8]))
    return _written(begin, compressed, passes)


def _parts(view: View) -> tuple[bytes, bytes, list[memoryview]]:
    """The header, the palette if it counts, and the compressed pixels, their checksums right."""
    head, palette, order, compressed = b"", b"", "", []
    for kind, start, end in _chunks(view):
        if kind[0] & 0x20:  # lower case: nothing depends on it
            continue
        payload = view.raw(start + 8, end - 4)
        if zlib.crc32(payload, zlib.crc32(kind)) != view.number(">I", end - 4):
            raise BadHeader(f"its chunk {kind!r} is damaged")
        if kind == b"IHDR":
            head, order = bytes(payload), order + "H"
        elif kind == b"PLTE":
            if head[9:10] == bytes([_PALETTE]):  # elsewhere a suggestion
                palette, order = bytes(payload), order + "P"
        elif kind == b"IDAT":
            compressed.append(payload)
            order += "D" if order[-1:] != "D" else ""
        elif kind == b"IEND":
            order += "E"
        else:
            raise BadHeader(f"its chunk {kind!r} is damaged")
    if not order.endswith("E"):
        raise BadHeader("the image is cut off before its end")
    if order != ("HPDE" if head[9] == _PALETTE else "HDE"):
        raise BadHeader("its chunks are not in order, or incomplete")
    return head, palette, compressed


def _chunk(kind: bytes, payload: bytes | memoryview) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return b"".join([len(payload).to_bytes(4, "big"), kind, payload, checksum.to_bytes(4, "big")])


def _full(palette: bytes, depth: int) -> bytes:
    """A palette of all the colours that pixels can name, those that it lacks black."""
    if len(palette) % 3 or not 0 < len(palette) <= 3 << depth:
        raise BadHeader("its palette is damaged")
    return palette.ljust(3 << depth, b"\0")


def _passes(head: bytes) -> list[tuple[int, int]]:
    """Checks the header. How many rows of how many bytes are stored, filters included."""
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    depth, colour, compression, filters, interlaced = head[8:]
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlaced > 1:
        raise BadHeader("its header is damaged")
    if max(width, height) > _MAX_SIDE:
        raise BadHeader(f"a PNG of {width}x{height} pixels; {_MAX_SIDE:,} on a side are read")
    bits = depth * _CHANNELS[colour]
    passes = []
    for top, left, down, right in _PASSES if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        if rows > 0 and columns > 0:
            passes.append((rows, 1 + (columns * bits + 7) // 8))
    return passes


def _written(
    begin: bytes, compressed: list[memoryview], passes: list[tuple[int, int]]
) -> memoryview:
    """A file: what it begins with, and the pixels, inflated and checked, in stored blocks.

    Whatever the file says, no more is inflated than its header has room for.
    """
    whole = sum(rows * stride for rows, stride in passes)
    length = len(_ZLIB) + whole + 5 * -(-whole // _BLOCK) + 4
    if length > _MAX_CHUNK:
        raise BadHeader(f"a PNG of {whole:,} bytes of pixels, more than are read")
    start = len(begin) + 4  # of the type of the chunk, from where its checksum counts
    out = bytearray(start + 4 + length + 4 + len(_IEND))
    view = memoryview(out)
    out[: start + 4] = begin + length.to_bytes(4, "big") + b"IDAT"
    out[start + 4 : start + 6] = _ZLIB
    position, checksum = start + 6, 1
    filters = _Filters(passes)
    for block in _inflated(compressed, whole):
        filters.check(block)
        checksum = zlib.adler32(block, checksum)
        whole -= len(block)
        struct.pack_into("<BHH", out, position, whole == 0, len(block), len(block) ^ 0xFFFF)
        view[position + 5 : position + 5 + len(block)] = block
        position += 5 + len(block)
    struct.pack_into(">I", out, position, checksum)
    struct.pack_into(">I", out, position + 4, zlib.crc32(view[start : position + 4]))
    view[position + 8 :] = _IEND
    return view


def _inflated(compressed: list[memoryview], whole: int) -> Iterator[bytes]:
    """`whole` bytes, in blocks of `_BLOCK` and a last one.

    Raises:
        BadHeader: there are fewer, or they are damaged.
    """
    inflater = zlib.decompressobj()
    block = b""
    try:
        for piece in _pieces(compressed):
            rest: bytes | memoryview = piece
            while whole:
                block += inflater.decompress(rest, min(_BLOCK, whole) - len(block))
                rest = inflater.unconsumed_tail
                if len(block) == min(_BLOCK, whole):
                    yield block
                    whole -= len(block)
                    block = b""
                elif not rest:
                    break
    except zlib.error as error:
        raise BadHeader(f"its pixels are damaged: {error}") from None
    if whole:
        raise BadHeader("its pixels are cut off, or damaged")


def _pieces(compressed: list[memoryview]) -> Iterator[memoryview]:
    """Short ones: what is not inflated at a call is copied, to be given at the next."""
    for payload in compressed:
        for at in range(0, len(payload), _PIECE):
            yield payload[at : at + _PIECE]


class _Filters:
    """Looks at the first byte of each row, as the rows come by in blocks."""

    def __init__(self, passes: list[tuple[int, int]]) -> None:
        self._passes = iter(passes)
        self._rows, self._stride = next(self._passes)
        self._next = 0  # how far ahead the next filter is

    def check(self, block: bytes) -> None:
        """Raises BadHeader where a filter does not exist."""
        while self._next < len(block):
            rows = min(self._rows, -(-(len(block) - self._next) // self._stride))
            end = self._next + rows * self._stride
            if block[self._next : end : self._stride].strip(_FILTERS):
                raise BadHeader("its pixels are damaged: a filter that does not exist")
            self._rows -= rows
            self._next = end
            if not self._rows:
                self._rows, self._stride = next(self._passes, (0, 1))
                if not self._rows:
                    return
        self._next -= len(block)
