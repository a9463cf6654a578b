"""AVIF: the primary picture, taken out of its file and put into one that we write.

The size stands in the boxes and again in the stream of the codec, and the decoder makes room for
what the stream says before it compares; what other pictures, tracks, layers and tiles there are,
decoders find in ways of their own. So OpenCV gets a file with one picture in it, whose stream we
have looked at.
"""

from __future__ import annotations

from typing import NamedTuple

from .av1 import stream_size
from .boxes import box, boxes, full_box, the_box
from .header import BadHeader, Header, View

#: EXIF's orientation, by mirroring and quarter turns.
_TURNS = {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}
#: Properties that the decoder gets as they are: of the codec, of colour but for profiles, of depth.
_KEPT = (b"av1C", b"nclx", b"pixi")
_MAX_ITEMS = 10_000


class _Property(NamedTuple):
    kind: bytes
    content: View


def read(view: View) -> Header:
    """The size by the codec's stream, which the boxes must confirm, and the turns."""
    meta = _content(the_box(view, b"meta"))
    wanted = _primary(meta)
    kind = _kind(meta, wanted)
    if kind != b"av01":
        what = "put together of several pictures" if kind == b"grid" else f"of the kind {kind!r}"
        raise BadHeader(f"an AVIF whose picture is {what}, which is not read")
    properties = _properties(meta, wanted)
    stream = _stream(view, meta, wanted)
    width, height = stream_size(View(memoryview(stream)))
    for said in (each.content for each in properties if each.kind == b"ispe"):
        if said.unpack(">II", 4) != (width, height):
            raise BadHeader("its boxes and its stream disagree about the size")
    quarters, mirror = 0, None
    for each in properties:
        if each.kind == b"irot":
            quarters = each.content.number("B", 0) & 3  # anticlockwise, before the mirroring
        elif each.kind == b"imir":
            mirror = each.content.number("B", 0) & 1  # 0: top and bottom change places
    return Header(
        "AVIF",
        height,
        width,
        _TURNS[mirror][quarters],
        essentials=lambda: _written(width, height, properties, stream),
    )


def _content(full: View) -> View:
    """What stands behind version and flags."""
    return full.part(4, len(full))


def _primary(meta: View) -> int:
    pitm = the_box(meta, b"pitm")
    return pitm.number(">I" if pitm.number("B", 0) else ">H", 4)


def _kind(meta: View, wanted: int) -> bytes:
    """The type of an item."""
    iinf = the_box(meta, b"iinf")
    start = 8 if iinf.number("B", 0) else 6  # behind the number of entries
    kinds = []
    for kind, entry in boxes(iinf.part(start, len(iinf))):
        if kind == b"infe" and (version := entry.number("B", 0)) >= 2:
            wide = version > 2
            if entry.number(">I" if wide else ">H", 4) == wanted:
                kinds.append(entry.copy(10 if wide else 8, 14 if wide else 12))
    if len(kinds) != 1:
        raise BadHeader("its primary picture is not there")
    return kinds[0]


def _properties(meta: View, wanted: int) -> list[_Property]:
    """Those of an item, in their order."""
    iprp = the_box(meta, b"iprp")
    there = [_Property(*each) for each in boxes(the_box(iprp, b"ipco"))]
    ipma = the_box(iprp, b"ipma")
    version, wide = ipma.number("B", 0), ipma.number("B", 3) & 1
    found: list[_Property] | None = None
    at = 8
    for _ in range(min(ipma.number(">I", 4), _MAX_ITEMS)):
        item = ipma.number(">I" if version else ">H", at)
        at += 4 if version else 2
        count, at = ipma.number("B", at), at + 1
        size = 2 if wide else 1
        if item == wanted:
            if found is not None:
                raise BadHeader("its primary picture has two lists of properties")
            indices = ipma.unpack(f">{count}{'H' if wide else 'B'}", at)
            numbers = [index & (0x7FFF if wide else 0x7F) for index in indices]
            if any(number > len(there) for number in numbers):
                raise BadHeader
            found = [there[number - 1] for number in numbers if number]
        at += count * size
    if not found or sum(each.kind == b"av1C" for each in found) != 1:
        raise BadHeader("its primary picture has no properties")
    if any(each.kind in (b"lsel", b"a1op") for each in found):
        raise BadHeader("an AVIF of several layers, which is not read")
    return found


def _stream(view: View, meta: View, wanted: int) -> bytes:
    """The bytes of an item."""
    iloc = the_box(meta, b"iloc")
    version, sizes = iloc.number("B", 0), iloc.unpack("BB", 4)
    offset, length, base, index = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
    if version > 2 or any(size not in (0, 4, 8) for size in (offset, length, base, index)):
        raise BadHeader
    wide = version == 2
    count, at = iloc.number(">I" if wide else ">H", 6), 10 if wide else 8
    left = len(view)
    for _ in range(min(count, _MAX_ITEMS)):
        item, at = iloc.number(">I" if wide else ">H", at), at + (4 if wide else 2)
        method = 0
        if version:
            method, at = iloc.number(">H", at) & 15, at + 2
        reference, at = iloc.number(">H", at), at + 2
        origin, at = _sized(iloc, at, base), at + base
        extents, at = iloc.number(">H", at), at + 2
        step = (index if version else 0) + offset + length
        if item != wanted:
            at += extents * step
            continue
        if method or reference:
            raise BadHeader("an AVIF whose picture does not lie in the file itself")
        parts: list[memoryview] = []
        for _ in range(extents):
            start = origin + _sized(iloc, at + step - offset - length, offset)
            size = _sized(iloc, at + step - length, length)
            parts.append(view.raw(start, start + size if size else len(view)))
            at += step
            left -= len(parts[-1])
            if left < 0:
                raise BadHeader("its picture is longer than the file")
        return b"".join(parts)
    raise BadHeader("its primary picture is not there")


def _sized(view: View, at: int, size: int) -> int:
    return view.number({4: ">I", 8: ">Q"}[size], at) if size else 0


def _written(width: int, height: int, properties: list[_Property], stream: bytes) -> bytes:
    """A file of one picture."""
    kept = [box(b"ispe", bytes(4), width.to_bytes(4, "big"), height.to_bytes(4, "big"))]
    kept += [
        box(each.kind, content)
        for each in properties
        if (content := each.content.copy(0, len(each.content)))
        and (content[:4] if each.kind == b"colr" else each.kind) in _KEPT
    ]
    if len(kept) > 16:
        raise BadHeader("its picture has too many properties")
    one = (1).to_bytes(2, "big")
    association = b"\0\0\0\1" + one + bytes([len(kept), *range(1, len(kept) + 1)])
    ftyp = box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")

    def meta(offset: int) -> bytes:
        where = offset.to_bytes(4, "big") + len(stream).to_bytes(4, "big")
        return full_box(
            b"meta",
            0,
            full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", 0, one),
            full_box(b"iloc", 0, b"\x44\0", one, one, bytes(2), one, where),
            full_box(b"iinf", 0, one, full_box(b"infe", 2, one, bytes(2), b"av01", b"\0")),
            box(b"iprp", box(b"ipco", *kept), full_box(b"ipma", 0, association)),
        )

    offset = len(ftyp) + len(meta(0)) + 8
    return b"".join([ftyp, meta(offset), box(b"mdat", stream)])
