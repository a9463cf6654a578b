"""Where files of packed weights are kept, and whether they can be shared there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from etseg import _native
from etseg._download.directory import cache_directory, is_folder
from etseg._download.disk import COMMON, read_small, replace_bytes
from etseg._errors import FileWriteError, InvalidConfigError

#: Bytes of all files together, above which those used least recently go.
LIMIT_VARIABLE = "ETSEG_PACKED_WEIGHTS_LIMIT"
_DEFAULT_LIMIT = 2 << 30

_MARK = b"Packed weights that etseg made. `etseg cache clear` removes them.\n"

#: What other machines have too: what they change there is not seen here at once.
_REMOTE = re.compile(r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|fuse|fuse\..*|virtiofs")


class CannotShareError(Exception):
    """Weights cannot be shared here; the message says why."""


class NothingToShareError(CannotShareError):
    """Nor is there anything to share."""


def folder() -> Path:
    """Of the files; it need not exist.

    Raises:
        CannotShareError: there is no place for caches.
    """
    try:
        return cache_directory() / "weights"
    except FileWriteError as error:
        raise CannotShareError(str(error)) from None


def prepared() -> Path:
    """The folder, made if need be.

    Raises:
        CannotShareError: it cannot be used; or weights cannot be shared at all.
    """
    path = folder()
    _check(path)
    try:
        (path / "programs").mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise CannotShareError(f"{str(path)!r} is a link, or belongs to another user")
        if not is_marked(path):
            replace_bytes(path / ".etseg", _MARK, COMMON)
    except OSError as error:
        raise CannotShareError(
            f"{str(path)!r} cannot be written: {error.strerror or error}"
        ) from None
    return path


def usable() -> Path:
    """The folder, as far as can be said without making it.

    Raises:
        CannotShareError: weights cannot be shared there.
    """
    path = folder()
    _check(path)
    there = _existing(path)
    if not os.access(there, os.W_OK | os.X_OK):
        raise CannotShareError(f"{str(there)!r} cannot be written")
    return path


def _check(path: Path) -> None:
    if not _native.can_share_weights():
        raise CannotShareError("this build of etseg cannot share packed weights")
    kind = file_system(_existing(path))
    if kind is not None and _REMOTE.fullmatch(kind):
        raise CannotShareError(f"{str(path)!r} is on a network file system ({kind})")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above that exists."""
    return next((one for one in (path, *path.parents) if one.exists()), path)


def is_marked(path: Path) -> bool:
    """Whether etseg made the folder."""
    return is_folder(path) and read_small(path / ".etseg") == _MARK


def file_system(path: Path) -> str | None:
    """The kind of file system that a path is on; None where the system does not say."""
    try:
        device = path.stat().st_dev
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, told = line.partition(" - ")
        if mount.split(" ")[2] == wanted:
            return told.split(" ")[0]
    return None


def limit() -> int:
    """In bytes.

    Raises:
        InvalidConfigError: ETSEG_PACKED_WEIGHTS_LIMIT is no number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return _DEFAULT_LIMIT
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise InvalidConfigError(f"{LIMIT_VARIABLE} is {text!r}; expected a number of bytes")
    return int(text)
