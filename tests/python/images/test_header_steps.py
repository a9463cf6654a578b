"""Readers of headers look at a number of bytes that grows as the file does, and no faster.

Counted, not timed: whatever a reader sees of a file, it sees through a view.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from etseg._images.formats import BadHeader, View, read_header
from eyes import encoded, png_chunk, smooth


class CountingView(View):
    """Adds up the bytes that were looked at."""

    seen = 0

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        CountingView.seen += struct.calcsize(form)
        return super().unpack(form, at)

    def raw(self, start: int, end: int) -> memoryview:
        return super().raw(start, end)

    def copy(self, start: int, end: int) -> bytes:
        CountingView.seen += max(0, end - start)
        return super().copy(start, end)

    def find(self, wanted: re.Pattern[bytes], start: int) -> int:
        assert len(wanted.pattern.strip(b"[^]")) == 1 or wanted.pattern in (rb"\xff", rb"[^\xff]")
        found = super().find(wanted, start)
        CountingView.seen += max(1, found - start)
        return found


def steps(data: bytes) -> int:
    CountingView.seen = 0
    view = CountingView(memoryview(data))
    with suppress(BadHeader):
        header = read_header(view)
        if header is not None and header.essentials is not None:
            header.essentials()
    return CountingView.seen


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _items(size: int) -> bytes:
    """An AVIF of many items, of which the primary one has many extents."""
    extents = size // 8
    places = b"\0\0\0\1" * 2 * extents
    iloc = struct.pack(">4xBBHHHH", 0x44, 0, 1, 1, 0, min(extents, 65535)) + places
    infe = _box(b"infe", b"\2\0\0\0\0\1\0\0av01\0")
    properties = _box(b"ipco", _box(b"av1C", b"\x81\0\0\0"))
    properties += _box(b"ipma", b"\0\0\0\0\0\0\0\1\0\1\1\1")
    meta = b"\0\0\0\0" + _box(b"pitm", b"\0\0\0\0\0\1") + _box(b"iloc", iloc)
    meta += _box(b"iinf", b"\0\0\0\0\0\1" + infe * 1) + _box(b"iprp", properties)
    return _box(b"ftyp", b"avif\0\0\0\0avif") + _box(b"meta", meta) + bytes(size)


def _tags(size: int) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, 1) for tag in range(min(size // 12, 65535)))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", min(size // 12, 65535)) + entries


def _segments(size: int) -> bytes:
    stream = b"\xff\x4f\xff\x51" + struct.pack(
        ">HH8IHBBB", 41, 0, 9, 9, 0, 0, 9, 9, 0, 0, 1, 7, 1, 1
    )
    return stream + b"\xff\x64\0\2" * (size // 4)


FAMILIES: dict[str, Callable[[int], bytes]] = {
    "JPEG: 0xff": lambda size: b"\xff\xd8\xff" + b"\xff" * size,
    "JPEG: 0xff and one more": lambda size: b"\xff\xd8\xff" + b"\xff" * size + b"\xe0",
    "JPEG: zeros": lambda size: b"\xff\xd8\xff" + bytes(size),
    "JPEG: stuffing": lambda size: b"\xff\xd8\xff" + b"\xff\x00" * (size // 2),
    "JPEG: restarts": lambda size: b"\xff\xd8\xff\xd0" + b"\xff\xd0" * (size // 2),
    "JPEG: empty segments": lambda size: b"\xff\xd8" + b"\xff\xe0\0\2" * (size // 4),
    "JPEG: segments without length": lambda size: b"\xff\xd8" + b"\xff\xe0\0\0" * (size // 4),
    "JPEG: EXIF after EXIF": lambda size: (
        b"\xff\xd8" + b"\xff\xe1\0\x10Exif\0\0II*\0\x08\0\0\0" * (size // 18)
    ),
    "PNG: empty chunks": lambda size: (
        encoded(smooth(), "PNG")[:33] + png_chunk(b"tEXt", b"") * (size // 12)
    ),
    "PNG: empty pixels": lambda size: (
        encoded(smooth(), "PNG")[:33] + png_chunk(b"IDAT", b"") * (size // 12)
    ),
    "WebP: empty chunks": lambda size: (
        b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08" + bytes(9) + b"NONE\0\0\0\0" * (size // 8)
    ),
    "TIFF: tags": _tags,
    "AVIF: boxes": lambda size: (
        _box(b"ftyp", b"avif\0\0\0\0avif") + _box(b"free", b"") * (size // 8)
    ),
    "AVIF: boxes in boxes": lambda size: (
        _box(b"ftyp", b"avif\0\0\0\0avif") + _box(b"meta", _box(b"meta", b"")) * (size // 16)
    ),
    "AVIF: extents": _items,
    "JPEG 2000: boxes": lambda size: b"\0\0\0\x0cjP  \r\n\x87\n" + _box(b"jp2h", b"") * (size // 8),
    "JPEG 2000: comments": _segments,
    "PNM: blanks": lambda size: b"P6" + b" " * size,
    "PNM: comments": lambda size: b"P6" + b"#\n" * (size // 2),
    "PNM: digits": lambda size: b"P6 " + b"0" * size,
    "BMP": lambda size: b"BM" + bytes(size),
    "GIF": lambda size: b"GIF89a" + bytes(size),
    "GIF: extensions": lambda size: b"GIF89a" + bytes(7) + b"\x21\xfe\0" * (size // 3),
    "GIF: comments": lambda size: b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1x" * (size // 2),
    "GIF: codes": lambda size: (
        b"GIF89a" + bytes(7) + b"\x2c" + struct.pack("<4x2HBB", 60000, 60000, 0, 2) + b"\1x" * size
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_are_linear(name: str) -> None:
    family = FAMILIES[name]
    few, many = steps(family(20_000)), steps(family(200_000))
    assert many <= 12 * few + 10_000
    assert many <= 5 * 200_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000"])
def test_a_real_file_is_looked_at_where_its_header_is(kind: str) -> None:
    data = encoded(smooth(), kind)
    view = CountingView(memoryview(data))
    CountingView.seen = 0
    header = read_header(view)
    assert header is not None
    assert (header.height, header.width) == (24, 40)
    assert 4 <= CountingView.seen < 5000
