"""From what `etseg segment` is given to the list of photos."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from etseg._cli.common import Failure
from etseg._errors import InvalidUserInputError
from etseg._images.endings import IMAGE_ENDINGS
from etseg._messages import source_for_people
from etseg._uris import path_of_file_uri, scheme_of

#: Among photos stdin, as an output stdout.
STDIO = "-"


class Photo(NamedTuple):
    """One image to segment.

    Attributes:
        source: what forward() takes.
        name: how it is called to people and programs.
        place: below the folder of the outputs, with the photo's own ending.
        path: of the file, absolute; None for what is no file here.
        named: whether it was given itself, and not found in a folder or by a pattern.
    """

    source: str | Path | BinaryIO
    name: str
    place: Path
    path: Path | None = None
    named: bool = True


class Photos:
    """What there is to do.

    Attributes:
        found: in the order of the arguments; those of a folder by name, 2 before 10.
        many: whether outputs are folders: more than one argument, a folder, or a pattern.
        base: the folder that all files are below; None if there are no files.
        folders: those that were given.
        others: how many files of folders and patterns are no images, by ending.
        unreadable: folders below those given and links in them, and why they cannot be read.
    """

    def __init__(self, many: bool) -> None:
        self.found: list[Photo] = []
        self.many = many
        self.base: Path | None = None
        self.folders: list[Path] = []
        self.others: Counter[str] = Counter()
        self.unreadable: dict[str, str] = {}


def collect(arguments: Sequence[str], recursive: bool) -> Photos:
    """The photos that the arguments mean. None is opened.

    A file that is given twice, in whatever way, is there once.

    Raises:
        Failure: a folder or a pattern has no image, or a folder cannot be read; or there is no
            stdin.
    """
    photos = Photos(many=len(arguments) > 1)
    sources: dict[Path | str, Path] = {}  # a file goes by its absolute path; as it was given
    named: set[Path | str] = set()
    bases: list[Path] = []
    for argument in arguments:
        path = None if argument == STDIO else path_of(argument)
        if path is None:
            sources[argument] = Path()
        elif os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112  # any length
            sources.setdefault(_absolute(path), path)
            named.add(_absolute(path))
            bases.append(_absolute(path).parent)
        else:
            photos.many = True
            base, images = _several(path, recursive, photos)
            for file in images:
                sources.setdefault(_absolute(file), file)
            bases.append(_absolute(base))
    if bases:
        photos.base = Path(os.path.commonpath(bases))
    photos.others = +photos.others
    photos.found = [
        _photo(source, given, photos.base, source in named) for source, given in sources.items()
    ]
    return photos


def _several(path: Path, recursive: bool, photos: Photos) -> tuple[Path, list[Path]]:
    """The images of a folder or pattern, and the folder that they are below."""
    from .folders import of_folder, of_pattern  # here: a photo alone needs neither

    unreadable: dict[str, str] = {}
    if os.path.isdir(path):  # noqa: PTH112  # any length
        photos.folders.append(path)
        base, files = path, list(of_folder(path, recursive, unreadable))
        if str(path) in unreadable:
            raise Failure(f"cannot read {str(path)!r}: {unreadable[str(path)]}")
    else:
        base, files = of_pattern(str(path))
    images = [file for file in files if file.suffix.lower() in IMAGE_ENDINGS]
    photos.others.update(Counter(file.suffix.lower() for file in files))
    photos.others.subtract(Counter(file.suffix.lower() for file in images))
    if not images:
        raise Failure(_nothing_in(path, recursive, len(files), unreadable))
    photos.unreadable.update(unreadable)
    return base, images


def path_of(argument: str) -> Path | None:
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
    if os.path.exists(argument):  # noqa: PTH110  # likewise
        return Path(argument)
    import glob  # here: few arguments are patterns

    return Path(argument) if glob.has_magic(argument) else None


def _nothing_in(path: Path, recursive: bool, others: int, unreadable: dict[str, str]) -> str:
    but = f", only {others} files without an image's ending" if others else ""
    if os.path.isdir(path):  # noqa: PTH112  # any length
        hint = "" if recursive else "; -r looks into the folders below it, too"
        for name, why in unreadable.items():
            hint += f"; cannot read {name!r}: {why}"
        return f"no images in the folder {str(path)!r}{but}{hint}"
    return f"no image matches {str(path)!r}{but}"


def _photo(source: Path | str, given: Path, base: Path | None, named: bool) -> Photo:
    if source == STDIO:
        if sys.stdin is None:
            raise Failure("there is no stdin to read a photo from")
        return Photo(sys.stdin.buffer, STDIO, Path("stdin"))
    if isinstance(source, Path):
        assert base is not None  # it is above every file
        return Photo(given, str(given), source.relative_to(base), source, named)
    shown = source_for_people(source)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    file = ""
    if scheme_of(source) is not None:
        try:
            file = unquote(urlsplit(source).path).rpartition("/")[2]
        except ValueError:  # forward() says what is wrong with it
            file = ""
    safe = re.sub(r"[^\w.+() -]", "_", file).lstrip(".")[:100]
    return Photo(source, shown, Path(safe or "image"))


def _absolute(path: Path) -> Path:
    """Links stay, but where ".." follows one: behind a link it is another folder."""
    if ".." in path.parts:
        return Path(os.path.realpath(path.parent)) / path.name
    return Path(os.path.abspath(path))  # noqa: PTH100  # links stay
