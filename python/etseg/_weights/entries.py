"""The files of packed weights that there are: what they are called, listing them, making room."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etseg._download.disk import file_stat

from . import places
from .places import CannotShareError

#: A record that is being written, and how old it is when nobody will end that.
_LEFT = re.compile(r".+\.json\.\d+\.new")
_ABANDONED_SECONDS = 3600
#: Whose SHA-256 is remembered.
_MOST_PROGRAMS = 256

_NAME = re.compile(r"(.+-[0-9a-f]{24})\.packed")


@dataclass(frozen=True)
class Entry:
    """The place of one program's packed weights, whether they are there or not."""

    folder: Path
    name: str

    @classmethod
    def of(cls, folder: Path, program: Path, key: str) -> Entry:
        """Of a program of this name, whose weights have this key."""
        return cls(folder, f"{_stem(program)}-{key}")

    @property
    def key(self) -> str:
        """What the content depends on."""
        return self.name.rpartition("-")[2]

    @property
    def packed(self) -> Path:
        """The weights."""
        return self.folder / f"{self.name}.packed"

    @property
    def new(self) -> Path:
        """The weights while they are written."""
        return self.folder / f"{self.name}.packed.new"

    @property
    def record(self) -> Path:
        """What is known of them."""
        return self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Of who makes them. Stays: without it, those who wait and who come would hold two."""
        return self.folder / f"{self.name}.lock"

    def size(self) -> int | None:
        """In bytes; None where there are none."""
        try:
            found = file_stat(self.packed)
        except OSError:
            return None
        return found.st_size if found else None

    def used(self) -> None:
        """Notes that they are in use: they go last when there is no room."""
        with suppress(OSError):  # somebody else's, or on a read-only disk
            os.utime(self.record)

    def last_used(self) -> float:
        """When that was."""
        return _written(self.record)

    def delete(self) -> int:
        """Removes them; who has them mapped goes on. Bytes freed. Raises OSError."""
        freed = 0
        for path in (self.record, self.new, self.packed):
            found = file_stat(path)
            if found is not None:
                path.unlink(missing_ok=True)
                freed += found.st_size
        return freed


def _stem(program: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", program.stem)[:60].strip("_") or "program"


def might_be_there(program: Path) -> bool:
    """Whether there are any of a program of this name."""
    return any(entry.name.rpartition("-")[0] == _stem(program) for entry in entries())


def entries() -> list[Entry]:
    """Those that there are, by name. Nothing else in the folder is ever looked at."""
    try:
        folder = places.folder()
    except CannotShareError:
        return []
    if not places.is_marked(folder):
        return []
    try:
        names = sorted(path.name.removesuffix(".new") for path in folder.iterdir())
    except OSError:
        return []
    found = {match[1]: None for name in names if (match := _NAME.fullmatch(name))}
    return [Entry(folder, name) for name in found]


def _sweep(folder: Path) -> None:
    """Removes what killed processes left of records, and the oldest of many programs' SHA-256."""
    programs = list(folder.glob("programs/*.json"))
    programs.sort(key=_written)
    left = [path for path in folder.glob("**/*.json.*.new") if _LEFT.fullmatch(path.name)]
    now = time.time()
    old = [path for path in left if now - _written(path) > _ABANDONED_SECONDS]
    for path in (*programs[:-_MOST_PROGRAMS], *old):
        with suppress(OSError):
            path.unlink()


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process was faster
        return 0.0


def make_room(keep: Entry) -> None:
    """Removes those used least recently until all are within the limit; never `keep`.

    Raises:
        InvalidConfigError: the environment variable with the limit is no number.
    """
    _sweep(keep.folder)
    most = places.limit()
    others = sorted((one for one in entries() if one != keep), key=Entry.last_used)
    total = sum(one.size() or 0 for one in (keep, *others))
    for entry in others:
        if total <= most:
            return
        with suppress(OSError):
            total -= entry.size() or 0
            entry.delete()
