"""Files of the cache: written whole or not at all, read only where they are what they should be."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from etseg._errors import FileWriteError

#: Notes and records are far smaller; nothing larger is read as one.
_MOST_OF_A_NOTE = 1 << 20
_BLOCK = 1 << 20

#: Permissions of what only its owner may read, and of what the umask decides on.
PRIVATE, COMMON = 0o600, 0o666


class Hash(Protocol):
    """What of hashlib's objects is used here."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def copy(self) -> Hash: ...
    def hexdigest(self) -> str: ...


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


def file_stat(path: Path) -> os.stat_result | None:
    """Of a regular file; None where there is none, or a link, a pipe, a folder.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def read_small(path: Path) -> bytes | None:
    """A note or a record; None where there is no such file, or it cannot be one."""
    try:
        found = file_stat(path)
        if found is None or found.st_size > _MOST_OF_A_NOTE:
            return None
        with path.open("rb") as file:
            return file.read(_MOST_OF_A_NOTE)
    except OSError:
        return None


def create(path: Path, mode: int) -> int:
    """The descriptor of a new, empty file. What was there, a link too, is removed first."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, mode)


def replace_bytes(path: Path, content: bytes, mode: int) -> None:
    """Writes a small file, whole or not at all. Raises OSError.

    Others may write the same file at the same time: each its own beside it, and the last one stays.
    """
    beside = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    try:
        with os.fdopen(create(beside, mode), "wb") as file:
            file.write(content)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def left_beside(path: Path) -> list[Path]:
    """What processes that were killed in :func:`replace_bytes` have left of a file."""
    return sorted(path.parent.glob(f"{path.name}.*.new"))


def sha256_of(path: Path) -> str:
    """In hexadecimal. Raises OSError.

    No more is read than the file's size: those of the kernel have none, and some of them no end.
    """
    digest = hashlib.sha256()
    digest_into(digest, path, path.stat().st_size)
    return digest.hexdigest()


def digest_into(digest: Hash, path: Path, most: int) -> None:
    """Hashes the first `most` bytes of a file, or all that there are. Raises OSError."""
    left = most
    block = memoryview(bytearray(min(_BLOCK, max(most, 1))))
    with path.open("rb", buffering=0) as file:
        while left and (count := file.readinto(block[:left])):
            digest.update(block[:count])
            left -= count
