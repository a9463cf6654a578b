"""That no output takes the place of an input, or of another output: by what the files are.

A name says little. Links lead elsewhere, a folder can be reached in several ways, one file can have
several names, and some file systems know no capitals. So files are told apart by device and inode;
what is not there yet, by the folder that it will be in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from etseg._writing import FileId, file_id

#: Links to links that are followed: as many as Linux does.
_MOST_LINKS = 40


def file_ids(path: str | os.PathLike[str]) -> set[FileId]:
    """Of the file at a path, and of each link by which its name leads there; empty if none is."""
    ids = set()
    name = os.fspath(path)
    for _ in range(_MOST_LINKS + 1):
        try:
            status = os.lstat(name)
            ids.add(file_id(status))
            if not stat.S_ISLNK(status.st_mode):
                break
            # Not normalised: what ".." means depends on the links before it.
            name = os.path.join(os.path.dirname(name), os.readlink(name))  # noqa: PTH115, PTH118, PTH120
        except (OSError, ValueError):  # ValueError: a NUL in it
            break
    return ids


def what_is_read(files: Iterable[tuple[str | os.PathLike[str], str]]) -> dict[FileId, str]:
    """The identities of files, and by them the names that people know them by."""
    return {one: name for path, name in files for one in file_ids(path)}


def keep_apart(inputs: Mapping[FileId, str], outputs: Mapping[str, Sequence[Path]]) -> None:
    """Nothing that is read is written over, and nothing is written twice.

    Args:
        inputs: what is read, as :func:`what_is_read` says.
        outputs: what will be written, by the option that asks for it.

    Raises:
        click.UsageError: the message names the files.
    """
    places = _Places()
    taken: dict[object, str] = {}
    for option, paths in outputs.items():
        for path in paths:
            over = next((inputs[one] for one in file_ids(path) if one in inputs), None)
            if over is not None:
                raise click.UsageError(
                    f"{over!r} would be written over by {option} {str(path)!r}; choose another "
                    "place for the results"
                )
            for place in places.of(path):
                if place in taken:
                    options = " and ".join(dict.fromkeys([taken[place], option]))
                    raise click.UsageError(
                        f"{options} would both write {str(path)!r}; name different places"
                    )
            taken.update(dict.fromkeys(places.of(path), option))
    _not_inside(outputs)


def _not_inside(outputs: Mapping[str, Sequence[Path]]) -> None:
    """No output is a file where another needs a folder."""
    written = {_real(path): option for option, paths in outputs.items() for path in paths}
    folders = {_real(path.parent): option for option, paths in outputs.items() for path in paths}
    for folder, option in folders.items():
        for above in (folder, *folder.parents):
            if above in written:
                raise click.UsageError(
                    f"{written[above]} would write the file {str(above)!r}, where {option} needs "
                    "a folder; name different places"
                )


class _Places:
    """Where files are or will be, so that two names of one place compare equal."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[object, ...]] = {}

    def of(self, path: Path) -> Iterable[object]:
        """Of the name itself, and of what it leads to if it is a link."""
        entry = _real(path.parent) / path.name
        return {self._place(one) for one in (entry, _real(path))}

    def _place(self, path: Path) -> object:
        try:
            inode = path.lstat().st_ino
        except (OSError, ValueError):
            inode = None
        # Names that differ by capitals alone are taken for one, unless there is proof: one of them
        # is there already, and is another file than the other.
        return (*self._folder(path.parent), _folded(path.name), inode)

    def _folder(self, folder: Path) -> tuple[object, ...]:
        """The folder above that is there, and the names that are not."""
        known = self._folders.get(folder)
        if known is None:
            names: list[str] = []
            for above in (folder, *folder.parents):
                try:
                    known = (*file_id(above.stat()), *names)
                    break
                except (OSError, ValueError):
                    names.append(_folded(above.name))
            self._folders[folder] = known = known or tuple(names)
        return known


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _folded(name: str) -> str:
    """Equal for what is one name on some file system."""
    if name.isascii():
        return name.casefold()
    import unicodedata

    return unicodedata.normalize("NFC", name.casefold())
