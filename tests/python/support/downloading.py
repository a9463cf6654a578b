"""What the tests of downloads do again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from etseg import ImageSegmentationModule

PICTURE = np.full((64, 64, 3), 90, np.uint8)


def load(url: object, **fields: Any) -> list[float]:
    """Loads, runs, and returns the progress that was reported."""
    progress: list[float] = []
    with ImageSegmentationModule() as module:
        module.load({"model_source": url, **fields}, progress.append)
        assert module.forward(PICTURE).argmax.shape == module.output_size
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert progress.count(1.0) == 1
    return progress


def files(cache: Path) -> list[str]:
    """What is in the cache, but for the locks and marks."""
    return sorted(
        path.name
        for path in cache.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name != ".etseg"
    )


def only_model(cache: Path) -> bytes:
    """The one model in the cache, beside which there is nothing but its record."""
    (path,) = cache.rglob("*.pte")
    assert files(cache) == sorted([path.name, "record.json"])
    return path.read_bytes()


def damage(path: Path) -> None:
    """Changes a byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
