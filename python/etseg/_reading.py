"""What a path leads to, and reading it: only a regular file, and no more of it than is allowed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ._errors import FileMissingError, FileReadError, InvalidUserInputError, OutOfMemoryError
from ._messages import brief

_KINDS = {
    stat.S_IFDIR: "it is a directory",
    stat.S_IFIFO: "it is a FIFO, not a regular file",
    stat.S_IFSOCK: "it is a socket, not a regular file",
    stat.S_IFCHR: "it is a device, not a regular file",
    stat.S_IFBLK: "it is a device, not a regular file",
}


def check_regular(path: Path, what: str) -> None:
    """Raises unless the path leads, through links if need be, to a regular file.

    Anything else may have no end, keep its reader waiting for ever, or do something when opened.

    Args:
        what: of which kind the file should be, for messages: "image", "model".

    Raises:
        FileMissingError: there is no such file.
        FileReadError: it is no regular file, or cannot be looked at.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, what, error) from error
    _check_kind(path, what, status)


def read_regular(path: Path, what: str, limit: int) -> bytes:
    """The content of a regular file.

    Args:
        what: as for :func:`check_regular`.
        limit: the number of bytes that it may have, ``Limits.max_file_bytes``.

    Raises:
        FileMissingError: there is no such file.
        FileReadError: it is no regular file, or cannot be read.
        InvalidUserInputError: it is longer than the limit.
        OutOfMemoryError: it does not fit into memory.
    """
    check_regular(path, what)
    # It may be another one by now: opening does not wait for a writer, and what was opened counts.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            _check_kind(path, what, status)
            if status.st_size > limit:
                raise too_long(repr(str(path)), status.st_size, limit)
            # No more than its size. That of a file without content is 0: those of the kernel, some
            # of which wait for ever, are not read at all.
            return file.read(status.st_size) or b""
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory to read {str(path)!r}") from error
    except (FileReadError, InvalidUserInputError):
        raise
    except (OSError, ValueError) as error:
        raise unreadable(path, what, error) from error


def unreadable(path: Path | str, what: str, error: OSError | ValueError) -> FileReadError:
    """The error for a path that the system does not open. ValueError: it has a NUL."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        home = "; only shells know '~': use Path(...).expanduser()" * str(path).startswith("~")
        return FileMissingError(f"no such file: {brief(str(path), 300)}{home}")
    why = getattr(error, "strerror", None) or error
    return FileReadError(f"cannot read the {what} {brief(str(path), 300)}: {why}")


def too_long(name: str, size: int | None, limit: int) -> InvalidUserInputError:
    """The error for a file of more bytes than are allowed. None: nobody knows how many."""
    has = "has" if size is None else f"has {size:,} bytes,"
    return InvalidUserInputError(
        f"{name} {has} more than the {limit:,} bytes of Limits.max_file_bytes; if you trust it, "
        "ImageSegmentationModule(limits=etseg.Limits(max_file_bytes=...)) takes it"
    )


def _check_kind(path: Path, what: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "it is no regular file")
        raise FileReadError(f"cannot read the {what} {str(path)!r}: {kind}")
