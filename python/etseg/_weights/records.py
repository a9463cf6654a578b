"""Small files that say what is known of a large one: JSON with a checksum of its own.

Read only where they are ours: nobody else can have written them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from etseg._download.sealed import seal, unseal

_MOST = 1 << 16


def is_ours(found: os.stat_result) -> bool:
    """Whether a regular file belongs to this user, and nobody else may write it."""
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def open_to_read(path: Path) -> int:
    """A descriptor. Follows no link at the end, and waits for nobody. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_record(path: Path) -> dict[str, Any] | None:
    """What a record says; None where there is none, or it is damaged or not ours."""
    try:
        descriptor = open_to_read(path)
    except OSError:
        return None
    try:
        if not is_ours(os.fstat(descriptor)):
            return None
        content = os.read(descriptor, _MOST)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return unseal(content)


def write_record(path: Path, fields: dict[str, Any]) -> None:
    """Writes a record, whole or not at all. Raises OSError."""
    content = seal(fields)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
