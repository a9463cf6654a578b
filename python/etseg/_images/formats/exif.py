"""The directories of TIFF, which EXIF is made of too."""

from __future__ import annotations

from typing import NamedTuple

from .header import BadHeader, View

#: What stands before it in a JPEG, and in other formats by mistake.
EXIF = b"Exif\0\0"

_SHORT, _LONG = 3, 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ORIENTATION = 274


class Entry(NamedTuple):
    """Of a directory."""

    kind: int
    values: int
    at: int  # where its values lie


class Directory:
    """The first directory: each tag once, or it is none.

    Decoders differ in which of two entries with the same tag they believe.
    """

    def __init__(self, view: View) -> None:
        order, start, count_of_entries = _begin(view)
        self._order = order
        self._view = view
        self._entries: dict[int, Entry] = {}
        for at in range(start + 2, start + 2 + 12 * count_of_entries, 12):
            tag, kind, count = view.unpack(order + "HHI", at)
            size = count * _SIZES.get(kind, 1)
            where = at + 8 if size <= 4 else view.number(order + "I", at + 8)
            if tag in self._entries:
                raise BadHeader(f"its tag {tag} stands twice")
            self._entries[tag] = Entry(kind, count, where)

    def entries(self) -> dict[int, Entry]:
        """All of them, by tag."""
        return self._entries

    def numbers(self, tag: int, default: int, most: int = 8) -> list[int]:
        """Of whole numbers, 2 or 4 bytes wide, `most` at most; what is not there is the default."""
        entry = self._entries.get(tag)
        if entry is None:
            return [default]
        if entry.kind not in (_SHORT, _LONG) or not 1 <= entry.values <= most:
            raise BadHeader(f"its tag {tag} is not what it has to be")
        form = f"{self._order}{entry.values}{'H' if entry.kind == _SHORT else 'I'}"
        return list(self._view.unpack(form, entry.at))

    def number(self, tag: int, default: int) -> int:
        """One number."""
        return self.numbers(tag, default, most=1)[0]


def orientation_of(exif: View) -> int:
    """EXIF's 1..8; what is damaged says 1."""
    try:
        order, start, count = _begin(exif)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = exif.unpack(order + "HH", at)
            if tag == _ORIENTATION and kind in (_SHORT, _LONG):
                value = exif.number(order + ("H" if kind == _SHORT else "I"), at + 8)
                return value if 1 <= value <= 8 else 1
    except BadHeader:
        pass
    return 1


def _begin(view: View) -> tuple[str, int, int]:
    """The order of bytes, and where the first directory lies, and of how many entries it is."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(view.copy(0, 4))
    if order is None:
        raise BadHeader
    start = view.number(order + "I", 4)
    return order, start, view.number(order + "H", start)
