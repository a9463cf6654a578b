"""The files of `etseg segment`, a function for each kind."""

from __future__ import annotations

from collections.abc import Callable, Container
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from etseg._results.encoding import encoded
from etseg._results.result import SegmentationResult
from etseg._results.saving import MAX_COLOURS, write_palette_png
from etseg._writing import FileId, write_whole

from .wishes import Wishes

#: Writes all of a file.
Writer = Callable[[BinaryIO], object]


def write(
    kind: str, path: Path, result: SegmentationResult, wishes: Wishes, keep: Container[FileId]
) -> FileId:
    """One file of a result.

    Args:
        keep: as for :func:`write_whole`, whose result this has.

    Raises:
        EtsegError: it cannot be made or written.
    """
    return write_whole(path, _writer(kind, path, result, wishes), keep)


def for_stdout(kind: str, result: SegmentationResult, wishes: Wishes) -> bytes:
    """The same, as it goes to stdout: a PNG, or for arrays an .npz.

    Raises:
        EtsegError: it cannot be made.
    """
    file = BytesIO()
    name = Path("stdout.npz" if kind == "arrays" else "stdout.png")
    _writer(kind, name, result, wishes)(file)
    return file.getvalue()


def _writer(kind: str, path: Path, result: SegmentationResult, wishes: Wishes) -> Writer:
    if kind == "overlay":
        picture = result.overlay(
            alpha=wishes.alpha, palette=wishes.palette, outline=True, legend=wishes.legend
        )
    elif kind == "cutout":
        picture = result.cutout(
            wishes.classes or None, foreground=wishes.foreground, haze=wishes.haze
        )
    elif kind == "composed":
        picture = result.replace_background(
            wishes.backdrop,
            wishes.classes or None,
            foreground=wishes.foreground,
            haze=wishes.haze,
        )
    elif kind == "mask":
        return _mask_writer(path, result, wishes)
    else:
        return lambda file: result.save(file, kind="arrays")
    blue_first = np.ascontiguousarray(picture[..., [2, 1, 0, 3][: picture.shape[2]]])
    return _picture_writer(path, blue_first)


def _picture_writer(path: Path, image: npt.NDArray[Any]) -> Writer:
    parts = encoded(path, image)
    return lambda file: file.writelines(parts)


def _mask_writer(path: Path, result: SegmentationResult, wishes: Wishes) -> Writer:
    if wishes.mask_of is not None:
        return _picture_writer(path, result.mask(wishes.mask_of) * np.uint8(255))
    indices, count = result.argmax, len(result.labels) - 1
    wide = count + wishes.void > MAX_COLOURS  # a palette has no more
    if wishes.void:
        # As data sets have it: the highest value is no label.
        indices = np.where(indices == wishes.rest, 65535 if wide else 255, indices)
    if wide:
        return _picture_writer(path, indices.astype(np.uint16))
    palette = np.zeros((256 if wishes.void else count, 3), np.uint8)
    for label, colour in wishes.palette.items():
        palette[label] = colour
    plane: Any = indices.astype(np.uint8, copy=False)
    return lambda file: write_palette_png(file, plane, palette)
