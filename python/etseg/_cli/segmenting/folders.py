"""The files of folders and of patterns, in the order that people expect."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etseg._cli.common import Failure
from etseg._images.endings import IMAGE_ENDINGS

_DIGITS = re.compile(r"([0-9]+)")


def of_folder(folder: Path, recursive: bool, unreadable: dict[str, str]) -> Iterator[Path]:
    """Its files, then those of its folders; nothing hidden. Links to folders are not followed.

    Args:
        folder: to be read.
        recursive: whether the folders below are read, however deep.
        unreadable: gets each folder, and link of an image, that cannot be read, and why.
    """
    waiting = [folder]
    while waiting:
        inner = waiting.pop()
        folders: list[Path] = []
        files: list[Path] = []
        try:
            with os.scandir(inner) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            unreadable[str(inner)] = error.strerror or str(error)
            continue
        for entry in sorted(entries, key=lambda entry: natural(entry.name)):
            path = inner / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif _is_file(path, unreadable):
                files.append(path)
        yield from files
        if recursive:
            waiting += reversed(folders)


def of_pattern(pattern: str) -> tuple[Path, list[Path]]:
    """The folder before the first wildcard, and the files, by name.

    Raises:
        Failure: the folders are nested too deeply for a pattern.
    """
    base = Path(pattern)
    while glob.has_magic(str(base)):
        base = base.parent
    try:
        names = glob.glob(pattern, recursive=True)  # noqa: PTH207  # any root
    except RecursionError:
        raise Failure(
            f"the folders below {str(base)!r} are nested too deeply for a pattern; name the folder "
            "itself, with -r"
        ) from None
    files = [Path(name) for name in names if os.path.isfile(name)]  # noqa: PTH113  # any length
    by_parts = {path: [natural(part) for part in path.parts] for path in files}
    return base, sorted(by_parts, key=by_parts.__getitem__)


def natural(name: str) -> tuple[list[Any], str]:
    """For sorting: numbers by value, letters whatever their case; then exactly."""
    parts = _DIGITS.split(name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def _is_file(path: Path, unreadable: dict[str, str]) -> bool:
    """Whether it is a regular file, or a link to one. A link of an image to nowhere is noted."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if path.is_symlink() and path.suffix.lower() in IMAGE_ENDINGS:
            unreadable[str(path)] = error.strerror or str(error)
        return False
