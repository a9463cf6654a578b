"""The formats of image files: what each says about itself before it is decoded.

OpenCV gives neither size nor orientation without decoding, does not turn every format upright, and
makes room for what a file asks before it looks any further. So each reader takes a file as its
decoder will; where two places of a file could say different things, it reads the one that the
decoder believes, or refuses; and what a format has besides pixels that takes memory is bounded by
their number. PNG, AVIF and PNM, where that cannot be had, are written anew from what was read.
"""

from __future__ import annotations

import re
from importlib import import_module

from .header import BadHeader, Header, View, upright_size

__all__ = ["BadHeader", "Header", "View", "is_known", "read_header", "upright_size"]

_SIGNATURE = 16  # bytes, at most

#: Of each format, how a file begins, as a pattern whose "." is any byte; the module that reads its
#: header, imported where there is one to read; and the function.
_READERS = (
    (rb"\xff\xd8\xff", "jpeg", "read"),
    (rb"\x89PNG\r\n\x1a\n", "png", "read"),
    (rb"RIFF....WEBP", "webp", "read"),
    (rb"BM", "plain", "read_bmp"),
    (rb"II\*\0|MM\0\*", "tiff", "read"),
    (rb"GIF8[79]a", "plain", "read_gif"),
    (rb"....ftyp(?:avif|avis|mif1)", "avif", "read"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jpeg2000", "read"),
    (rb"P[1-6]\s", "netpbm", "read"),
)


def read_header(view: View) -> Header | None:
    """The header of an encoded image, or None if its format is none of those in ``_READERS``.

    Raises:
        BadHeader: it is of a known format, but damaged or of a kind that is not read.
    """
    for pattern, module, function in _READERS:
        if view.match(re.compile(pattern, re.DOTALL), _SIGNATURE):
            read = getattr(import_module(f"{__name__}.{module}"), function)
            header: Header = read(view)
            if header.height <= 0 or header.width <= 0:
                raise BadHeader
            return header
    return None


def is_known(data: memoryview) -> bool:
    """Whether the data begins as one of the formats does."""
    return any(re.match(pattern, data[:_SIGNATURE], re.DOTALL) for pattern, _, _ in _READERS)
