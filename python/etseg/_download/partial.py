"""A file on its way, and the note of what it can be gone on from.

The note's first line says which version of which file this is, each of the others how far it had
come and the SHA-256 of what was there by then, with a checksum of both lines::

    {"salt": "...", "asked": "...", "validator": "\\"etag\\"", "total": 474120}
    65536 <SHA-256 of the first 65536 bytes> <checksum>
    131072 ...

So a part that was damaged meanwhile, or its note, is noticed, and the download starts over. Killed
at any moment, what came since the last line is lost, and no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from etseg._errors import FileWriteError

from .disk import PRIVATE, Hash, create, digest_into, file_stat, read_small, writing

#: A line for every so many bytes at most, and not many more than this in all.
_STEP = 1 << 16
_MOST_LINES = 512
_STEP_OF_UNKNOWN = 1 << 20
_ROUNDS = 20_000

_Write = Callable[[memoryview | bytes], int | None]


@dataclass(frozen=True)
class Version:
    """Of which URL a file is, and which version of it. Nothing in it can be read back."""

    salt: str
    asked: str  # a slow hash: the URL may have a password in it
    validator: str
    total: int | None

    @classmethod
    def of(cls, asked: str, validator: str, total: int | None) -> Version:
        salt = os.urandom(16).hex()
        return cls(salt, _slow_hash(asked, salt), validator, total)

    def is_of(self, asked: str) -> bool:
        """Whether the same was asked for, with the same login."""
        return self.asked == _slow_hash(asked, self.salt)


@dataclass(frozen=True)
class Note:
    """What a note says: a version, and the lines about how far it had come."""

    version: Version
    points: tuple[tuple[int, str], ...]  # bytes, and their SHA-256


@dataclass(frozen=True)
class Start:
    """Bytes that are here, and are what they were."""

    version: Version
    done: int
    digest: Hash


class Partial:
    """A file on its way. One process at a time has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(path.name + ".note")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that this may make."""
        return (self._note, self.path)

    def size(self) -> int:
        """Bytes that are here; 0 without the file."""
        try:
            found = file_stat(self.path)
        except OSError:
            return 0
        return found.st_size if found else 0

    def start(self, asked: str) -> Start | None:
        """What can be gone on from; None where that is nothing.

        Raises:
            FileWriteError: the file is there, and cannot be read.
        """
        note = parse_note(read_small(self._note) or b"")
        size = self.size()
        if note is None or not note.version.validator or not note.version.is_of(asked):
            return None
        reached = [point for point in note.points if point[0] <= size]
        if not reached:
            return None
        done, expected = reached[-1]
        digest = hashlib.sha256()
        with writing(self.path):
            digest_into(digest, self.path, done)
        return Start(note.version, done, digest) if digest.hexdigest() == expected else None

    def begin(self, version: Version, mode: int) -> Start:
        """Empties the file. Killed at any point of this, no note describes bytes it is not of."""
        with writing(self.path):
            self._note.unlink(missing_ok=True)
            os.close(create(self.path, mode))
            os.close(create(self._note, PRIVATE))
            with self._note.open("ab", buffering=0) as file:
                file.write(_first_line(version))
        return Start(version, 0, hashlib.sha256())

    @contextmanager
    def appending(self, start: Start) -> Iterator[Appending]:
        """A way to write behind `start`; what was written is on the disk afterwards, and noted."""
        with writing(self.path):
            file = self.path.open("r+b", buffering=0)
        with file:
            with writing(self.path):
                file.truncate(start.done)
                file.seek(start.done)
                note = self._note.open("ab", buffering=0)
            with note:
                appending = Appending(self.path, file.write, note.write, start)
                try:
                    yield appending
                except BaseException:
                    with suppress(FileWriteError):  # what happened before counts
                        appending.note()
                    raise
                appending.note()
                with writing(self.path):
                    os.fsync(file.fileno())

    def drop(self) -> None:
        """Removes both."""
        for path in self.files:
            with suppress(OSError):
                path.unlink(missing_ok=True)


class Appending:
    """Writes to a partial file, and keeps count."""

    def __init__(self, path: Path, write: _Write, note: _Write, start: Start) -> None:
        self._path = path
        self._write = write
        self._write_note = note
        self._first = _first_line(start.version)
        self._noted = start.done
        total = start.version.total
        self._step = _STEP_OF_UNKNOWN if total is None else max(_STEP, total // _MOST_LINES)
        self.done = start.done
        self.digest = start.digest

    def write(self, block: bytes) -> None:
        """Raises FileWriteError."""
        rest = memoryview(block)
        with writing(self._path):
            while rest:  # a nearly full disk takes a part
                rest = rest[self._write(rest) or 0 :]
        self.digest.update(block)
        self.done += len(block)
        if self.done - self._noted >= self._step:
            self.note()

    def note(self) -> None:
        """Notes how far it is."""
        if self.done > self._noted:
            with writing(self._path):
                self._write_note(_point_line(self._first, self.done, self.digest.hexdigest()))
            self._noted = self.done


def parse_note(content: bytes) -> Note | None:
    """A note, with the lines that are whole. Raises nothing, whatever it is given."""
    first, *lines = content.splitlines(keepends=True) or [b""]
    try:
        version = Version(**json.loads(first))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (version.salt, version.asked, version.validator)
    if not all(isinstance(text, str) for text in texts):
        return None
    if version.total is not None and type(version.total) is not int:
        return None
    points = []
    for line in lines:
        offset, _, rest = line.partition(b" ")
        if offset.isdigit() and len(offset) <= 19:
            digest = rest[:64].decode("latin-1")
            if line == _point_line(first, int(offset), digest):
                points.append((int(offset), digest))
    return Note(version, tuple(sorted(points)))


def _first_line(version: Version) -> bytes:
    return json.dumps(asdict(version)).encode() + b"\n"


def _point_line(first: bytes, done: int, digest: str) -> bytes:
    point = f"{done} {digest}".encode()
    return point + b" " + hashlib.sha256(first + point).hexdigest()[:32].encode() + b"\n"


def _slow_hash(asked: str, salt: str) -> str:
    content = asked.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", content, salt.encode("utf-8", "replace"), _ROUNDS).hex()
