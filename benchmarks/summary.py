"""What finding out of a label map costs: natively, and with numpy and OpenCV as one would write it.

    python benchmarks/summary.py [--rounds N]

Two tables, of a mask as networks make it (four labels, of 21) and of noise, where each pixel is a
run of its own: pixels and boxes of all labels, and run-length encoded masks of those that are
there. Both ways find the same, or the run fails. Then what `to_dict()` and `to_json()` of a result
of the photo's size cost in all.
Milliseconds of one thread's CPU, the medians of rounds in which both ways take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import etseg
from etseg._results import summary
from harness.machine import machine_line
from harness.stats import milliseconds
from harness.stats import summary as statistics

SIZES = {"640x480": (480, 640), "1920x1080": (1080, 1920), "4000x3000": (3000, 4000)}
LABELS = 21
PHOTO = Path(__file__).parents[1] / "tests" / "data" / "astronaut.jpg"
console = Console()

Plane = npt.NDArray[Any]
Size = tuple[int, int]
#: What is found of a map that has these labels.
Way = Callable[[Plane, list[int]], object]


def main() -> None:
    """Prints the tables."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=9)
    rounds = made.parse_args().rounds
    cv2.setNumThreads(1)
    console.print(machine_line())
    for title, ours, theirs in (
        ("pixels and boxes", extents, slow_extents),
        ("run-length encoded masks", masks, slow_masks),
    ):
        console.print(compared(title, ours, theirs, rounds))
    console.print(results(rounds))


def contents(size: Size) -> dict[str, Plane]:
    """The maps, as bytes: a mask of large shapes, noise of two labels, and of all."""
    mask = np.zeros(size, np.uint8)
    height, width = size
    for label, x, y, radius in ((15, 0.5, 0.5, 0.4), (9, 0.8, 0.7, 0.15), (20, 0.2, 0.75, 0.2)):
        centre = round(x * width), round(y * height)
        axes = round(radius * height * 0.8), round(radius * height)
        cv2.ellipse(mask, centre, axes, 20, 0, 360, label, -1)
    chance = np.random.default_rng(0)
    return {
        "mask": mask,
        "noise of 2": chance.integers(0, 2, size).astype(np.uint8),
        f"noise of {LABELS}": chance.integers(0, LABELS, size).astype(np.uint8),
    }


def compared(title: str, ours: Way, theirs: Way, rounds: int) -> Table:
    """Both ways, on all maps."""
    table = Table(title, "map", "type", "numpy, OpenCV", "etseg", "times")
    for name, size in SIZES.items():
        for content, plane in contents(size).items():
            for dtype in ("uint8", "int32"):
                given = plane.astype(dtype), np.unique(plane).tolist()
                assert ours(*given) == theirs(*given)
                fewer = rounds if content == "mask" else max(1, rounds // 5)
                slow, fast = timed([partial(theirs, *given), partial(ours, *given)], fewer)
                times = f"{slow / fast:.1f}"
                row = (milliseconds(slow), milliseconds(fast), times)
                table.add_row(name, content, dtype, *row)
    return table


def results(rounds: int) -> Table:
    """Of a photograph's result."""
    table = Table("a result", "type", "to_dict(rle=False)", "to_json(rle=False)", "to_json()")
    for dtype in ("uint8", "int32"):
        module = etseg.ImageSegmentationModule(argmax_dtype=dtype)
        with module:
            module.load(etseg.SELFIE_SEGMENTATION)
            for name, size in SIZES.items():
                photo = cv2.resize(cv2.imread(str(PHOTO)), size[::-1])
                result = module.forward(photo, channel_order="bgr", resize=True)
                calls: list[Callable[[], object]] = [
                    partial(result.to_dict, rle=False),
                    partial(result.to_json, rle=False),
                    result.to_json,
                ]
                table.add_row(name, dtype, *map(milliseconds, timed(calls, 5 * rounds)))
    return table


def timed(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Milliseconds of CPU of each, the medians."""
    taken: list[list[int]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, times in zip(calls, taken, strict=True):
            start = time.thread_time_ns()
            call()
            times.append(time.thread_time_ns() - start)
    return [statistics(times)["median"] / 1e6 for times in taken]


def extents(plane: Plane, _labels: list[int]) -> list[list[int]]:
    """Rows of pixels, x0, y0, x1, y1."""
    size = plane.shape[0], plane.shape[1]
    return summary.extents(plane, size, LABELS).tolist()


def slow_extents(plane: Plane, _labels: list[int]) -> list[list[int]]:
    """The same by a histogram, and a box around each label's mask."""
    if plane.min() < 0 or plane.max() >= LABELS:
        raise ValueError
    if plane.dtype == np.uint8:
        counts = cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel()[:LABELS].astype(int)
    else:
        counts = np.bincount(plane.ravel(), minlength=LABELS)
    rows = []
    for label, count in enumerate(counts.tolist()):
        x, y, w, h = cv2.boundingRect((plane == label).view(np.uint8)) if count else (0, 0, 0, 0)
        rows.append([count, x, y, x + w, y + h])
    return rows


def masks(plane: Plane, labels: list[int]) -> list[str]:
    """COCO's texts of these labels."""
    return summary.runs(plane, (plane.shape[0], plane.shape[1]), labels)


def slow_masks(plane: Plane, labels: list[int]) -> list[str]:
    """The same, a mask at a time, transposed."""
    return [slow_runs((plane == label).view(np.uint8)) for label in labels]


def slow_runs(mask: npt.NDArray[np.uint8]) -> str:
    """One mask's text: the runs by numpy, and their characters, a column a group of five bits."""
    flat = cv2.transpose(mask).ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0] * (1 + int(flat[0])), ends, [flat.size]]))
    values = counts.copy()
    values[3:] -= counts[1:-2]
    characters, needed = [], []
    more = np.ones(len(values), bool)
    while more.any():
        group = values & 31
        values >>= 5
        needed.append(more)
        more = more & (values != np.where(group & 16, -1, 0))
        characters.append(group + 32 * more + 48)
    text = np.stack(characters, axis=1)[np.stack(needed, axis=1)]
    return text.astype(np.uint8).tobytes().decode()


if __name__ == "__main__":
    main()
