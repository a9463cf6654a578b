"""The boxes of which AVIF and JPEG 2000 files are made."""

from __future__ import annotations

from collections.abc import Iterator

from .header import MAX_PARTS, BadHeader, View


def boxes(view: View) -> Iterator[tuple[bytes, View]]:
    """Type and content of each box, in order."""
    position = 0
    for _ in range(MAX_PARTS):
        if position + 8 > len(view):
            return
        length, kind = view.unpack(">I4s", position)
        head = 8
        if length == 1:
            length, head = view.number(">Q", position + 8), 16
        end = len(view) if length == 0 else position + length
        if end < position + head:
            raise BadHeader
        yield kind, view.part(position + head, end)
        position = end
    raise BadHeader("it has too many boxes")


def the_box(view: View, wanted: bytes) -> View:
    """The only box of a type.

    Raises:
        BadHeader: there is none, or there are several: decoders differ in which they take.
    """
    found = [content for kind, content in boxes(view) if kind == wanted]
    if len(found) != 1:
        raise BadHeader(f"it has {len(found)} boxes {wanted.decode()!r}; expected one")
    return found[0]


def box(kind: bytes, *content: bytes | memoryview) -> bytes:
    """A box of that content."""
    length = 8 + sum(map(len, content))
    return b"".join([length.to_bytes(4, "big"), kind, *content])


def full_box(kind: bytes, version: int, *content: bytes | memoryview) -> bytes:
    """A box with a version, and no flags."""
    return box(kind, bytes([version, 0, 0, 0]), *content)
