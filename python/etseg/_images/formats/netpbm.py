"""PNM: P1 to P6."""

from __future__ import annotations

import re

from .header import BadHeader, Header, View

_LONGEST = 4096  # with its comments
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_SIZE = re.compile(rb"P([1-6])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)")
_MAXVAL = re.compile(_GAP + rb"(\d+)")


def read(view: View) -> Header:
    """The size, and what stands for white. The decoder gets a header that we write."""
    head = view.match(_SIZE, _LONGEST)
    if head is None:
        raise BadHeader
    kind, width, height = int(head[1]), _number(head[2]), _number(head[3])
    maxval, end = 255, head.end()
    if kind not in (1, 4):
        white = _MAXVAL.match(view.copy(end, min(end + _LONGEST, len(view))))
        if white is None:
            raise BadHeader
        maxval, end = _number(white[1]), end + white.end()
        if not 1 <= maxval <= 65535:
            raise BadHeader(f"its largest value is {maxval}; expected 1 to 65535")

    def essentials() -> bytes:
        ours = b"P%d %d %d" % (kind, width, height)
        if kind not in (1, 4):
            ours += b" %d" % (255 if maxval <= 255 else 65535)
        # OpenCV wants something behind the last number, too.
        return b"".join([ours, b"\n", view.raw(end + 1, len(view)), b"\n"])

    return Header("PNM", height, width, maxval=maxval, essentials=essentials)


def _number(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    if len(digits) > 9:
        raise BadHeader("its header has a number that is too large")
    return int(digits or b"0")
