"""What a cutout's colours are worth, and what they cost.

    python benchmarks/cutout.py [--rounds N]

First the error: photographs mixed by a drawn matte, hair and all, put on a new background, and
compared with what that would be if the foreground's own colours were known: mean absolute error, of
255, of the pixels in between. "image" takes their colours as they are, "estimate" is what etseg
does. Then what `haze` does to opacities, the true ones, those of a network (256x256, enlarged), and
such with up to 8 % of doubt over all: the error in the mean over all pixels. Then the time for
twelve megapixels: of the native pass alone, for a drawn matte, a network's, and one that is a
mixture everywhere; and of the methods, from a result whose image is a JPEG file. Medians, in
milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import etseg
from etseg import _native
from etseg._results import composing
from harness.machine import machine_line
from harness.stats import milliseconds, summary

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "python" / "support"))

import mattes  # noqa: E402

PHOTOS = ("astronaut", "chelsea", "coffee")
SIZE = (3000, 4000)
HOW = ("image", "estimate")
console = Console()


def main() -> None:
    """Prints the tables."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=15)
    options = made.parse_args()
    console.print(machine_line())
    console.print(errors())
    console.print(errors_of_haze())
    console.print(native_times(options.rounds))
    console.print(times_of_methods(options.rounds))


def photo(name: str, size: tuple[int, int]) -> Any:
    """One of the photographs, uint8 (H, W, 3), red first."""
    path = ROOT / "python" / "etseg" / "export" / "_photos" / f"{name}.jpg"
    return cv2.cvtColor(cv2.resize(cv2.imread(str(path)), size[::-1]), cv2.COLOR_BGR2RGB)


def errors() -> Table:
    """Of each photograph as the foreground."""
    table = Table("foreground", "behind", "new", *HOW)
    size = (480, 640)
    for turn in range(3):
        front, behind, new = PHOTOS[turn:] + PHOTOS[:turn]
        mixed = mattes.mixture(photo(front, size), photo(behind, size), mattes.hair(*size))
        for name, background in ((new, photo(new, size)), ("white", np.full((*size, 3), 255))):
            pixels = background.astype(np.uint8)
            found = (
                composing.on_background(mixed.image, mixed.opacity, pixels, foreground=how)
                for how in HOW
            )
            row = (f"{mattes.error_on(mixed, one, background):.2f}" for one in found)
            table.add_row(front, behind, name, *row)
    return table


def errors_of_haze() -> Table:
    """Mean over the photographs and new backgrounds."""
    size, hazes = (480, 640), (0.0, 0.05, 0.1)
    table = Table("opacities", *(f"haze {haze:g}" for haze in hazes))
    true = mattes.hair(*size)
    small = cv2.resize(true, (256, 256), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, size[::-1]).astype(np.float32) / 255
    doubt = cv2.GaussianBlur(np.random.default_rng(0).random(size, np.float32), (0, 0), 12)
    doubt = 0.08 * cv2.normalize(doubt, None, 0, 1, cv2.NORM_MINMAX)
    for name, plane in (
        ("true", true.astype(np.float32) / 255),
        ("a network's", coarse),
        ("and doubt", np.clip(coarse, doubt, 1 - doubt)),
    ):
        opacities = (composing.opacity_of(plane, haze) for haze in hazes)
        row = (mean(composites(size, true, opacity)) for opacity in opacities)
        table.add_row(name, *(f"{one:.2f}" for one in row))
    return table


def composites(size: tuple[int, int], true: Any, opacity: Any) -> Iterator[float]:
    """The errors of each photograph, cut out by an opacity, on each new background."""
    for turn in range(3):
        front, behind, new = (photo(name, size) for name in PHOTOS[turn:] + PHOTOS[:turn])
        mixed = mattes.mixture(front, behind, true)
        share = true[..., None] / 255
        for background in (new, np.full((*size, 3), 255, np.uint8)):
            found = composing.on_background(mixed.image, opacity, background)
            yield float(np.abs(found - (share * front + (1 - share) * background)).mean())


def native_times(rounds: int) -> Table:
    """Of _native.compose() alone."""
    etseg.get_num_threads()  # starts them
    table = Table("12 MP", "mixed pixels", "copy", "estimate", "and on a colour", "on an image")
    image, drawn = photo("chelsea", SIZE), mattes.hair(*SIZE, hairs=400)
    small = cv2.resize(drawn, (256, 256), interpolation=cv2.INTER_AREA)
    every = np.random.default_rng(0).integers(1, 255, SIZE).astype(np.uint8)
    colour = np.broadcast_to(np.array([200, 30, 60], np.uint8), image.shape)
    rgb, rgba = np.empty_like(image), np.empty((*SIZE, 4), np.uint8)
    for name, opacity in (
        ("drawn", drawn),
        ("a network's", cv2.resize(small, SIZE[::-1])),
        ("everywhere", every),
        ("hard", np.where(drawn > 127, 255, 0).astype(np.uint8)),
    ):
        calls = (
            (image, opacity, rgba, False),
            (image, opacity, rgba, True),
            (image, opacity, rgb, True, colour),
            (image, opacity, rgb, True, image),
        )
        times = [timed(partial(_native.compose, *one), rounds) for one in calls]
        table.add_row(name, f"{((opacity > 0) & (opacity < 255)).mean():.1%}", *times)
    return table


def times_of_methods(rounds: int) -> Table:
    """Of a result's methods, the image being read again from its file by each."""
    table = Table("12 MP, of a JPEG file", "ms")
    with tempfile.TemporaryDirectory() as folder, etseg.ImageSegmentationModule() as module:
        path = Path(folder, "photo.jpg")
        cv2.imwrite(str(path), cv2.cvtColor(photo("astronaut", SIZE), cv2.COLOR_RGB2BGR))
        module.load(etseg.SELFIE_SEGMENTATION)
        result = module.forward(path, ["PERSON"])
        table.add_row("decoding alone", timed(lambda: result.overlay(alpha=0), rounds))
        for how in HOW:
            table.add_row(f"cutout, {how}", timed(partial(result.cutout, foreground=how), rounds))
            for background in ("white", "blur", path):
                name = background if isinstance(background, str) else "a file"
                table.add_row(
                    f"replace_background, {name}, {how}",
                    timed(partial(result.replace_background, background, foreground=how), rounds),
                )
    return table


def timed(call: Callable[[], object], rounds: int) -> str:
    """Milliseconds, the median."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return milliseconds(summary(times)["median"] / 1e6)


if __name__ == "__main__":
    main()
