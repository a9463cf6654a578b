"""From a URL to a file, in as many attempts as it takes.

The bytes go into a partial file. Beside it stands a note with what the server said identifies this
version of the file (its ETag, else its Last-Modified). A later attempt, in this process or
another, asks for the rest of that version; a server that has another one by now, or knows no
ranges, sends all of it, and it starts over. Without a validator there is no note and no resuming.

The caller holds a lock: one process writes a partial file at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from etseg._errors import ErrorCode, FileWriteError
from etseg._limits import Limits

from . import http

#: An attempt that brought this many new bytes does not count against the limit of attempts.
_ADVANCE = 1 << 20
_BLOCK = 1 << 20


class Progress:
    """Tells a callback how far a download is: 0.0 to 1.0, never backwards.

    1.0 is said once, by :meth:`finish`, when the file is in its place.
    """

    def __init__(self, callback: Callable[[float], object] | None) -> None:
        self._callback = callback
        self._last = 0.0

    def report(self, done: int = 0, total: int | None = None) -> None:
        """Says how far it is; what was said last where that is unknown. May raise anything."""
        if self._callback is not None:
            if total and done < total:
                self._last = max(self._last, done / total)
            self._callback(self._last)

    def finish(self) -> None:
        """Says 1.0."""
        if self._callback is not None:
            self._callback(1.0)


@dataclass(frozen=True)
class Downloaded:
    """What came."""

    sha256: str
    size: int
    resumed: bool  # whether bytes of an earlier attempt are in it


class Partial:
    """A file on its way, and the note beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(path.name + ".json")

    def size(self) -> int:
        """Bytes that are here; 0 without the file."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def note(self, url: str) -> _Note | None:
        """What is known about the bytes that are here; None where they cannot be gone on from."""
        try:
            note = _Note(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if note.url != url or not note.validator or self.size() == 0:
            return None
        if note.total is not None and self.size() > note.total:
            return None
        return note

    def begin(self, note: _Note) -> None:
        """Empties the file. Killed at any point of this, no note describes bytes it is not of."""
        with writing(self.path):
            self._note.unlink(missing_ok=True)
            self.path.open("wb").close()
            if note.validator:
                replace_text(self._note, json.dumps(asdict(note)))

    def drop(self) -> None:
        """Removes both."""
        for path in (self._note, self.path):
            with suppress(OSError):
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Note:
    url: str
    validator: str
    total: int | None


def download(url: str, partial: Partial, progress: Progress, limits: Limits) -> Downloaded:
    """Brings `url` into the partial file, which is complete and on the disk afterwards.

    What `progress` raises, and KeyboardInterrupt, pass through; the partial file stays for the next
    time.

    Raises:
        DownloadError: it cannot be had; DOWNLOAD_INTERRUPTED where it had begun to come.
        FileWriteError: no space, no permission, ... The partial file is gone then.
    """
    furthest = partial.size() if partial.note(url) else 0
    resumed = False

    def attempt() -> Downloaded:
        nonlocal resumed
        note = partial.note(url)
        digest = hashlib.sha256()
        with writing(partial.path):
            done = _digest_into(digest, partial.path) if note else 0
        if note and done == note.total:  # killed between the last byte and the renaming
            return Downloaded(digest.hexdigest(), done, resumed=True)
        headers = {"Range": f"bytes={done}-", "If-Range": note.validator} if note else {}
        with http.request("GET", url, headers, limits) as answer:
            if note and _goes_on(answer, note, done):
                resumed = True
            elif note and answer.status in (206, 416):
                partial.drop()
                raise http.PassingError(
                    f"{http.shown(url)} changed since the download began; it starts over",
                    ErrorCode.DOWNLOAD_INTERRUPTED,
                )
            else:
                http.check_status(answer, url, 200)
                note = _Note(url, _validator(answer), answer.length)
                _check_space(partial.path.parent, answer.length, url)
                partial.begin(note)
                done, digest, resumed = 0, hashlib.sha256(), False
            progress.report(done, note.total)
            with _appending(partial) as write:
                for block in answer.blocks():
                    write(block)
                    digest.update(block)
                    done += len(block)
                    progress.report(done, note.total)
        if note.total is not None and done != note.total:
            raise http.PassingError(
                f"{http.shown(url)} sent {done} bytes where it had announced {note.total}",
                ErrorCode.DOWNLOAD_INTERRUPTED,
            )
        return Downloaded(digest.hexdigest(), done, resumed)

    def has_advanced() -> bool:
        nonlocal furthest
        before, furthest = furthest, max(furthest, partial.size())
        return furthest - before >= _ADVANCE

    try:
        return http.retried(attempt, has_advanced)
    except FileWriteError:
        partial.drop()
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The system's errors as ours.

    Raises:
        FileWriteError: with the reason, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> FileWriteError:
    """The error for what the system said."""
    return FileWriteError(
        f"cannot write {str(path)!r}: {error.strerror or error}. Make room or get permission, or "
        "set ETSEG_CACHE to another directory"
    )


def replace_text(path: Path, text: str) -> None:
    """Writes a small file, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """In hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    _digest_into(digest, path)
    return digest.hexdigest()


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...


def _digest_into(digest: _Hash, path: Path) -> int:
    size = 0
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            size += count
    return size


@contextmanager
def _appending(partial: Partial) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to the end of the file, which is on the disk afterwards."""
    with writing(partial.path):
        file = partial.path.open("ab", buffering=0)

    def write(block: bytes) -> None:
        rest = memoryview(block)
        with writing(partial.path):
            while rest:  # a nearly full disk takes a part
                rest = rest[file.write(rest) :]

    with file:
        yield write
        with writing(partial.path):
            os.fsync(file.fileno())


def _validator(answer: http.Answer) -> str:
    """What identifies this version of the file; "" where nothing does."""
    etag = answer.headers.get("ETag", "")
    if answer.encoded or answer.headers.get("Accept-Ranges", "").lower() == "none":
        return ""
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")


def _goes_on(answer: http.Answer, note: _Note, done: int) -> bool:
    """Whether the body is the rest of what we have, whatever the server thinks of If-Range."""
    if answer.status != 206 or answer.encoded:
        return False
    validator = _validator(answer)
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != done or validator not in ("", note.validator):
        return False
    return note.total is None or match[3] in ("*", str(note.total))


def _check_space(folder: Path, size: int | None, url: str) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if size is not None and size > free:
        raise FileWriteError(
            f"{http.shown(url)} needs {size} bytes, but {str(folder)!r} has {free} left. Make "
            "room, or set ETSEG_CACHE to another directory"
        )
