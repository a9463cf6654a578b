"""Writing files, whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ._errors import FileWriteError

#: Of a file, whatever it is called: device and inode.
FileId = tuple[int, int]


def file_id(status: os.stat_result) -> FileId:
    """The identity of a file or link."""
    return status.st_dev, status.st_ino


def write_whole(
    path: Path, write: Callable[[BinaryIO], object], keep: Container[FileId] = ()
) -> FileId:
    """Writes a file: what stood at the path before stays until the new one is complete.

    A link is replaced, not followed. A process that is killed on the way leaves a file
    ``.etseg-...`` in the folder, which may be deleted.

    Args:
        path: of the file; its folder has to be there.
        write: called with the file, opened for writing bytes.
        keep: files that are not replaced, by whatever name or link the path leads to them. It is
            looked into when all is written, so what became a link meanwhile is noticed.

    Returns:
        the identity of the new file.

    Raises:
        FileWriteError: the file cannot be written, or would replace one that is to be kept, a
            folder, or what is no regular file.
    """
    if "\0" in str(path):
        raise FileWriteError(f"cannot write {str(path)!r}: there is a NUL in it")
    # One folder from here on, wherever a link on the way to it leads next.
    target = Path(os.path.realpath(path.parent)) / path.name
    # Not tempfile's: those are private to the user, and the umask, which says what this file's
    # rights are to be, cannot be asked for without changing it, for other threads too.
    temporary = target.with_name(f".etseg-{os.urandom(8).hex()}")
    try:
        with temporary.open("xb") as file:
            write(file)
            written = file_id(os.fstat(file.fileno()))
        _check(path, target, keep)
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and not isinstance(error, FileWriteError):
            raise FileWriteError(f"cannot write {str(path)!r}: {_why(target, error)}") from error
        raise
    return written


def _why(target: Path, error: OSError) -> str:
    """What the system said; of a folder that is not there, that it is that."""
    missing = isinstance(error, FileNotFoundError) and not target.parent.exists()
    if not missing:
        return str(error.strerror)
    return f"there is no folder {str(target.parent)!r}; make it, or choose another place"


def _check(path: Path, target: Path, keep: Container[FileId]) -> None:
    """What stands at the target may be replaced."""
    for look in (target.lstat, target.stat):
        try:
            status = look()
        except OSError:  # nothing is there, or a link that leads nowhere
            continue
        if file_id(status) in keep:
            raise FileWriteError(
                f"cannot write {str(path)!r}: it is one of the files that are read or written "
                "here already; choose another place"
            )
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise FileWriteError(f"cannot write {str(path)!r}: it is {kind}")
