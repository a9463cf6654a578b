"""From what `etseg segment` is given to the list of photos."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from etseg._errors import InvalidUserInputError
from etseg._uris import path_of_file_uri, scheme_of

from .common import Failure

#: Of the files that are taken from folders. What is named itself may have any ending, or none.
IMAGE_ENDINGS = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
    ".avif", ".jp2", ".j2k", ".j2c", ".jpc", ".pnm", ".ppm", ".pgm", ".pbm",
])  # fmt: skip

_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Photo:
    """One image to segment.

    Attributes:
        source: what forward() takes.
        name: how it is called to people and programs.
        place: below the folder of the outputs, with the photo's own ending.
        path: of the file, absolute; None for what is no file here.
    """

    source: str | Path
    name: str
    place: Path
    path: Path | None = None


@dataclass
class Photos:
    """What there is to do.

    Attributes:
        found: in the order of the arguments; those of a folder by name, 2 before 10.
        many: whether outputs are folders: more than one argument, a folder, or a pattern.
        base: the folder that all files are below; None if there are no files.
        folders: those that were given.
        others: how many files of folders and patterns are no images, by ending.
        unreadable: folders below those given, and why they cannot be read.
    """

    found: list[Photo] = field(default_factory=list)
    many: bool = False
    base: Path | None = None
    folders: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)


def collect(arguments: Sequence[str], recursive: bool) -> Photos:
    """The photos that the arguments mean. None is opened.

    A file that is given twice, in whatever way, is there once.

    Raises:
        Failure: a folder or a pattern has no image, or a folder cannot be read.
    """
    photos = Photos(many=len(arguments) > 1)
    sources: dict[Path | str, Path] = {}  # a file goes by its absolute path; as it was given
    bases: list[Path] = []
    for argument in arguments:
        path = _local(argument)
        if path is None:
            sources[argument] = Path()
        elif path.exists() and not path.is_dir():
            sources.setdefault(_absolute(path), path)
            bases.append(_absolute(path).parent)
        else:
            photos.many = True
            if path.is_dir():
                photos.folders.append(path)
                base, files = path, list(_of_folder(path, recursive, photos.unreadable))
                if str(path) in photos.unreadable:
                    raise Failure(f"cannot read {str(path)!r}: {photos.unreadable[str(path)]}")
            else:
                base, files = _of_pattern(str(path))
            images = [file for file in files if file.suffix.lower() in IMAGE_ENDINGS]
            photos.others.update(Counter(file.suffix.lower() for file in files))
            photos.others.subtract(Counter(file.suffix.lower() for file in images))
            if not images:
                raise Failure(_nothing_in(path, recursive, len(files)))
            for file in images:
                sources.setdefault(_absolute(file), file)
            bases.append(_absolute(base))
    if bases:
        photos.base = Path(os.path.commonpath(bases))
    photos.others = +photos.others
    photos.found = [_photo(source, given, photos.base) for source, given in sources.items()]
    return photos


def leave_out(photos: Photos, outputs: Sequence[Path]) -> int:
    """Takes out what lies in the folders of the outputs; how many that were.

    They are not ours where the outputs go to the very folder of the photos, or above it.

    Raises:
        Failure: nothing is left.
        click.UsageError: the outputs would go to a folder whose photos are to be segmented.
    """
    for output in map(_real, outputs):
        for folder in photos.folders:
            if _real(folder) == output:
                raise click.UsageError(
                    f"the results would go to {str(folder)!r}, among the photos: the next run "
                    "would take them for photos. Choose another folder; one in it will do"
                )
    base = photos.base and _real(photos.base)
    inner = [real for real in map(_real, outputs) if base in real.parents]

    def is_output(photo: Photo) -> bool:
        return photo.path is not None and any(
            output in _entry(photo.path).parents for output in inner
        )

    left = [photo for photo in photos.found if not is_output(photo)]
    gone = len(photos.found) - len(left)
    if not left:
        raise Failure(f"nothing to segment: all {gone} images lie in the folder of the results")
    photos.found = left
    return gone


def guard(photos: Photos, outputs: Sequence[Path]) -> None:
    """No photo is written over.

    Raises:
        click.UsageError: one would be.
    """
    entries = {_entry(photo.path): photo for photo in photos.found if photo.path is not None}
    for output in outputs:
        photo = entries.get(_entry(output))
        if photo is not None:
            raise click.UsageError(
                f"{photo.name!r} would be written over by a result; choose another folder"
            )


def natural(name: str) -> tuple[list[Any], str]:
    """For sorting: numbers by value, letters whatever their case; then exactly."""
    parts = _DIGITS.split(name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def _local(argument: str) -> Path | None:
    """The file, folder or pattern that an argument names; None for what forward() must make out."""
    scheme = scheme_of(argument)
    if scheme == "file":
        try:
            path = path_of_file_uri(argument)
        except InvalidUserInputError:
            return None
        return path if os.path.exists(path) else None  # noqa: PTH110  # whatever its length
    if scheme is not None or argument[:5].lower() == "data:" or not argument:
        return None
    if os.path.exists(argument) or glob.has_magic(argument):  # noqa: PTH110  # likewise
        return Path(argument)
    return None


def _of_folder(folder: Path, recursive: bool, unreadable: dict[str, str]) -> Iterator[Path]:
    """Its files, then those of its folders; nothing hidden. Links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
            files = [folder / entry.name for entry in found if entry.is_file()]
            folders = [folder / e.name for e in found if e.is_dir(follow_symlinks=False)]
    except OSError as error:
        unreadable[str(folder)] = error.strerror or str(error)
        return
    yield from sorted(files, key=lambda path: natural(path.name))
    if recursive:
        for inner in sorted(folders, key=lambda path: natural(path.name)):
            yield from _of_folder(inner, recursive, unreadable)


def _of_pattern(pattern: str) -> tuple[Path, list[Path]]:
    """The folder before the first wildcard, and the files, by name."""
    base = Path(pattern)
    while glob.has_magic(str(base)):
        base = base.parent
    files = [Path(name) for name in glob.iglob(pattern, recursive=True)]  # noqa: PTH207  # any root
    by_parts = {path: [natural(part) for part in path.parts] for path in files if path.is_file()}
    return base, sorted(by_parts, key=by_parts.__getitem__)


def _nothing_in(path: Path, recursive: bool, others: int) -> str:
    but = f", only {others} files without an image's ending" if others else ""
    if path.is_dir():
        hint = "" if recursive else "; -r looks into the folders below it, too"
        return f"no images in the folder {str(path)!r}{but}{hint}"
    return f"no image matches {str(path)!r}{but}"


def _photo(source: Path | str, given: Path, base: Path | None) -> Photo:
    if isinstance(source, Path):
        assert base is not None  # it is above every file
        return Photo(given, str(given), source.relative_to(base), source)
    shown = source if len(source) <= 80 else source[:77] + "..."
    file = ""
    if scheme_of(source) is not None:
        try:
            file = unquote(urlsplit(source).path).rpartition("/")[2]
        except ValueError:  # forward() says what is wrong with it
            file = ""
    safe = re.sub(r"[^\w.+() -]", "_", file).lstrip(".")[:100]
    return Photo(source, shown, Path(safe or "image"))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # links stay


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _entry(path: Path) -> Path:
    """The place of a name, whichever way leads to its folder; not what it links to."""
    return _real(path.parent) / path.name
