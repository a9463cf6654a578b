"""Which of the photos are results of an earlier run, and no photos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from etseg._cli.common import Failure
from etseg._results.encoding import is_marked

from .inputs import Photo, Photos


def leave_out(photos: Photos, outputs: Sequence[Path]) -> int:
    """Takes out the results of earlier runs; how many that were.

    They are what lies in the folders of the outputs, was found there and not named, and has the
    mark of what we write. A photo that lies there stays one.

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
        if photo.path is None or photo.named:
            return False
        folders = _real(photo.path.parent)
        there = any(output == folders or output in folders.parents for output in inner)
        return there and is_marked(photo.path)

    left = [photo for photo in photos.found if not is_output(photo)]
    gone = len(photos.found) - len(left)
    if not left:
        raise Failure(f"nothing to segment: all {gone} images lie in the folder of the results")
    photos.found = left
    return gone


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
