"""Where `etseg segment` writes what, and that nothing is written over by accident."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from etseg._cli.guard import keep_apart, what_is_read
from etseg._images.endings import IMAGE_ENDINGS
from etseg._writing import FileId, file_id

from .inputs import STDIO, Photo, Photos

#: The option of each kind of output.
OPTIONS = {
    "overlay": "--output",
    "cutout": "--cutout",
    "composed": "--cutout",  # with --background
    "mask": "--mask",
    "arrays": "--npz",
}

#: The endings that kinds of files may have where not all do, and why.
_EXPECTED = {
    "mask": ((".png",), "; other formats may change the label indices"),
    "arrays": ((".npz",), ""),
    "cutout": ((".png", ".webp"), ", which can be transparent"),
}
_FILES = IMAGE_ENDINGS | {".npz"}
_JPEG = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})


class Plan(NamedTuple):
    """What is to be written.

    Attributes:
        paths: by kind, one for each photo.
        folders: the kinds that go to a folder, which is made where it is not there.
        left_out: how many images are none of the photos, since an earlier run wrote them.
        inputs: the identities of what is read, and may not be replaced, with its names.
        stdout: the kind that goes there, if one does.
    """

    paths: Mapping[str, Sequence[Path]]
    folders: frozenset[str]
    left_out: int
    inputs: Mapping[FileId, str]
    stdout: str | None

    def of(self, index: int) -> dict[str, Path]:
        """What is written for a photo, by kind."""
        return {kind: paths[index] for kind, paths in self.paths.items()}


def plan(photos: Photos, asked: Mapping[str, str | None], others: Sequence[str] = ()) -> Plan:
    """Where everything goes. Takes earlier outputs out of the photos.

    An output is a folder if there are many photos, if it is there as one, or ends with a slash.
    The structure of the photos' own folders is kept in it.

    Args:
        photos: what there is to do.
        asked: by kind, the option's value or None.
        others: files that are read as well, such as the model's.

    Raises:
        click.UsageError: a folder or file is not possible there; something that is read, another
            output, or an image that somebody else wrote would be written over.
        Failure: nothing but earlier outputs is left.
    """
    given = {kind: value for kind, value in asked.items() if value is not None}
    stdout = _to_stdout(given, photos)
    given = {kind: value for kind, value in given.items() if kind != stdout}
    folders = {kind: Path(value) for kind, value in given.items() if _is_folder(value, photos)}
    for kind, value in given.items():
        why = _wrong_folder(value) if kind in folders else _wrong_file(kind, value)
        if why:
            raise click.BadParameter(f"{value!r} {why}", param_hint=OPTIONS[kind])
    left_out = 0
    if photos.many:
        from .earlier import leave_out

        left_out = leave_out(photos, list(folders.values()))
    places = [photo.place for photo in photos.found]
    paths = {
        kind: [folders[kind] / name for name in distinct_names(places, kind)]
        if kind in folders
        else [Path(value)]
        for kind, value in given.items()
    }
    read = [(one.source, one.name) for one in photos.found if isinstance(one.source, Path)]
    inputs = what_is_read([*read, *zip(others, others, strict=True)])
    inputs.update((one, STDIO) for photo in photos.found for one in _behind(photo))
    keep_apart(inputs, {OPTIONS[kind]: of_kind for kind, of_kind in paths.items()})
    from etseg._results.encoding import is_photograph

    for path in (path for of_kind in paths.values() for path in of_kind):
        if is_photograph(path):
            raise click.UsageError(
                f"{str(path)!r} is there already, an image that etseg has not written, and would "
                "be written over; remove it or choose another place for the results"
            )
    return Plan(paths, frozenset(folders), left_out, inputs, stdout)


def _to_stdout(given: Mapping[str, str], photos: Photos) -> str | None:
    """The kind whose place is "-"."""
    kinds = [kind for kind, value in given.items() if value == STDIO]
    if not kinds:
        return None
    option = OPTIONS[kinds[0]]
    if photos.many or len(kinds) > 1:
        raise click.UsageError(f"{option} -: stdout takes one result of one photo")
    if sys.stdout is None or sys.stdout.isatty():
        raise click.UsageError(f"{option} -: stdout is no file or pipe; redirect it")
    return kinds[0]


def _behind(photo: Photo) -> Iterator[FileId]:
    """The file that stdin is redirected from, where it is the photo."""
    if not isinstance(photo.source, (str, Path)):
        with suppress(OSError, ValueError):  # ValueError: it has no descriptor
            yield file_id(os.fstat(photo.source.fileno()))


def distinct_names(places: Sequence[Path], kind: str) -> list[Path]:
    """The photos' names with the ending of the output.

    a.jpg becomes a.png. Where several would become the same, all of them keep their own ending in
    front: a.jpg.png, a.bmp.png. What still is alike (URLs can be) is numbered in order: a-2.png.
    """
    endings = [_ending(place, kind) for place in places]
    short = [_short(place, end) for place, end in zip(places, endings, strict=True)]
    full = [_full(place, end) for place, end in zip(places, endings, strict=True)]
    chosen = list(short)
    while True:
        times = Counter(map(_folded, chosen))
        alike = [i for i, name in enumerate(chosen) if times[_folded(name)] > 1]
        change = [i for i in alike if chosen[i] != full[i]]
        if not change:
            break
        for i in change:
            chosen[i] = full[i]
    taken: set[str] = set(map(_folded, chosen)) if alike else set()
    seen: set[str] = set()
    for i in alike:
        name, number = chosen[i], 1
        while _folded(name) in seen or (number > 1 and _folded(name) in taken):
            number += 1
            name = chosen[i].with_name(f"{chosen[i].stem}-{number}{endings[i]}")
        seen.add(_folded(name))
        chosen[i] = name
    return chosen


def _is_folder(value: str, photos: Photos) -> bool:
    return photos.many or _names_folder(value)


def _names_folder(value: str) -> bool:
    """Whether a folder is meant for sure."""
    return value.endswith(("/", os.sep)) or os.path.isdir(value)  # noqa: PTH112  # "" is none


def _wrong_folder(value: str) -> str | None:
    path = Path(value)
    if not value:
        return "is no folder"
    if os.path.exists(value) and not os.path.isdir(value):  # noqa: PTH110, PTH112  # any length
        return "is a file; the results of many photos go to a folder"
    if path.suffix.lower() in _FILES and not _names_folder(value):
        return (
            "looks like a file, and the results of many photos go to a folder; if you mean one of "
            "that name, end it with a slash"
        )
    return None


def _wrong_file(kind: str, value: str) -> str | None:
    expected, why = _EXPECTED.get(kind, ((), ""))
    if not value:
        return "is no file"
    if not expected or Path(value).suffix.lower() in expected:
        return None
    return f"does not end in {' or '.join(expected)}{why}; a folder ends with a slash"


def _ending(place: Path, kind: str) -> str:
    if kind == "arrays":
        return ".npz"
    # Photographs in PNG are large, and slow to write.
    return ".jpg" if kind in ("overlay", "composed") and place.suffix.lower() in _JPEG else ".png"


def _short(place: Path, ending: str) -> Path:
    stem = place.stem if place.suffix.lower() in IMAGE_ENDINGS else place.name
    return place.with_name(stem + ending)


def _full(place: Path, ending: str) -> Path:
    return place if place.suffix.lower() == ending else place.with_name(place.name + ending)


def _folded(name: Path) -> str:
    """Equal for what is one file on some file systems."""
    return str(name).casefold()
