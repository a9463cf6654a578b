"""What every format's reader returns, and what it reads through."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

#: No honest file has more segments, chunks or boxes; a crafted one would keep Python busy.
MAX_PARTS = 100_000


class BadHeader(ValueError):  # noqa: N818  # it never leaves the package
    """The file is damaged, or of a kind that is not decoded; the message says which, or nothing."""


class Header(NamedTuple):
    """Of the stored image, before it is turned upright."""

    format: str
    height: int
    width: int
    orientation: int = 1  # EXIF's 1..8, still to be applied; the decoder of TIFF does it itself
    channels: int = 0  # of a JPEG
    several_scans: bool = False  # of a JPEG: the decoder goes on until it has seen them all
    maxval: int = 255  # of a PNM: what stands for white
    #: What the decoder is given instead of the file. Raises BadHeader.
    essentials: Callable[[], bytes | memoryview] | None = None


def upright_size(header: Header) -> tuple[int, int]:
    """Height and width as a person sees the image."""
    if header.orientation >= 5:
        return header.width, header.height
    return header.height, header.width


class View:
    """The bytes of a file. Readers of headers read through it alone, so a test can count what.

    Nothing here trusts a length or an offset: what lies outside raises BadHeader.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        """As :func:`struct.unpack_from`."""
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            self._outside()
        return struct.unpack_from(form, self._data, at)

    def number(self, form: str, at: int) -> int:
        """One of :meth:`unpack`."""
        return int(self.unpack(form, at)[0])

    def copy(self, start: int, end: int) -> bytes:
        """A copy of a part."""
        return bytes(self.raw(start, end))

    def raw(self, start: int, end: int) -> memoryview:
        """A part, where it lies."""
        if not 0 <= start <= end <= len(self._data):
            self._outside()
        return self._data[start:end]

    def part(self, start: int, end: int) -> View:
        """A part, as a view of its own."""
        return type(self)(self.raw(start, end))

    def find(self, wanted: re.Pattern[bytes], start: int) -> int:
        """Where a pattern of one byte is found next, or the length."""
        found = wanted.search(self._data, start)
        return found.start() if found else len(self._data)

    def match(self, pattern: re.Pattern[bytes], length: int) -> re.Match[bytes] | None:
        """Whether the first `length` bytes begin with a pattern."""
        return pattern.match(bytes(self._data[:length]))

    def _outside(self) -> NoReturn:
        raise BadHeader
