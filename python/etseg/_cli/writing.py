"""The files of `etseg segment`, a function for each kind."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._results.encoding import write_image
from etseg._results.result import SegmentationResult
from etseg._results.saving import MAX_COLOURS, write_palette_png
from etseg._writing import FileId, write_whole

from .wishes import Wishes


def write(
    kind: str, path: Path, result: SegmentationResult, wishes: Wishes, keep: Container[FileId]
) -> FileId:
    """One file of a result.

    Args:
        keep: as for :func:`write_whole`, whose result this has.

    Raises:
        EtsegError: it cannot be made or written.
    """
    if kind == "overlay":
        rgb = result.overlay(
            alpha=wishes.alpha, palette=wishes.palette, outline=True, legend=wishes.legend
        )
        return _write_picture(path, rgb, keep)
    if kind == "cutout":
        return _write_picture(path, result.cutout(wishes.classes or None), keep)
    if kind == "composed":
        rgb = result.replace_background(wishes.backdrop, wishes.classes or None)
        return _write_picture(path, rgb, keep)
    if kind == "mask":
        return _write_mask(path, result, wishes, keep)
    return write_whole(path, lambda file: result.save(file, kind="arrays"), keep)


def _write_picture(path: Path, image: npt.NDArray[np.uint8], keep: Container[FileId]) -> FileId:
    order = [2, 1, 0, 3][: image.shape[2]]
    return write_image(path, np.ascontiguousarray(image[..., order]), keep)


def _write_mask(
    path: Path, result: SegmentationResult, wishes: Wishes, keep: Container[FileId]
) -> FileId:
    if wishes.mask_of is not None:
        return write_image(path, result.mask(wishes.mask_of) * np.uint8(255), keep)
    indices, count = result.argmax, len(result.labels) - 1
    wide = count + wishes.void > MAX_COLOURS  # a palette has no more
    if wishes.void:
        # As data sets have it: the highest value is no label.
        indices = np.where(indices == wishes.rest, 65535 if wide else 255, indices)
    if wide:
        return write_image(path, indices.astype(np.uint16), keep)
    palette = np.zeros((256 if wishes.void else count, 3), np.uint8)
    for label, colour in wishes.palette.items():
        palette[label] = colour
    plane: Any = indices.astype(np.uint8, copy=False)
    return write_whole(path, lambda file: write_palette_png(file, plane, palette), keep)
