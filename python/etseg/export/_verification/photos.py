"""The photos that a program is compared on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etseg._errors import InvalidUserInputError
from etseg._images.endings import IMAGE_ENDINGS
from etseg._images.source import source_of
from etseg._opencv import cv2

#: Photos are compared at no more than so many pixels a side: float32 scores of 150 classes for
#: 12 megapixels would be 7 GB.
_LONGEST_SIDE = 800


@dataclass(frozen=True, eq=False)  # equal to itself: of arrays, equality would be ambiguous
class Photo:
    """An image, uint8 [H, W, 3], red first, and what it is called."""

    name: str
    pixels: npt.NDArray[np.uint8]


def read_photos(
    what: str | os.PathLike[str] | Iterable[object], at_most: int | None = None
) -> tuple[Photo, ...]:
    """Images of a folder, in the order of their names, or each of what was given.

    Args:
        what: a folder; or images, each of a kind that forward() takes.
        at_most: how many are read; None for all.

    Raises:
        InvalidUserInputError: there is none, or one is no image.
        FileReadError: one cannot be read.
    """
    sources: list[object]
    if isinstance(what, (str, os.PathLike)):
        folder = Path(what)
        if folder.is_dir():
            sources = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_ENDINGS]
        else:
            sources = [folder]
    else:
        sources = list(what)
    if not sources:
        raise InvalidUserInputError(f"there are no images in {what!r}")
    return tuple(_read(source, index) for index, source in enumerate(sources[:at_most]))


def packaged_photos() -> tuple[Photo, ...]:
    """Those that come with the package."""
    folder = files("etseg.export") / "_photos"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".jpg"))
    return tuple(_read((folder / name).read_bytes(), 0, Path(name).stem) for name in names)


def _read(source: object, index: int, name: str | None = None) -> Photo:
    pixels, bgr = (read := source_of(source).pixels(None)).array, read.bgr
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, 2)
    rgb = pixels[..., 2::-1] if bgr else pixels[..., :3]
    longest = max(rgb.shape[:2])
    if longest > _LONGEST_SIDE:
        scale = _LONGEST_SIDE / longest
        size = tuple(max(1, round(side * scale)) for side in rgb.shape[1::-1])
        rgb = np.asarray(
            cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA), np.uint8
        )
    return Photo(name or _name(source, index), np.ascontiguousarray(rgb))


def _name(source: object, index: int) -> str:
    if isinstance(source, os.PathLike) or (isinstance(source, str) and len(source) < 256):
        return Path(source).name
    return f"image {index + 1}"
