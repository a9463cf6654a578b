"""What decoding a JPEG costs, and what not decoding all of it saves.

    python benchmarks/decode.py [--model FILE.pte] [--photo IMAGE] [--classes N]

First the decoders alone, at full size and at 1/2, 1/4 and 1/8. Then from a file to a label map of
the photo's size and --classes probability maps: etseg, with and without scaled decoding, beside
react-native-executorch's algorithm on OpenCV and numpy (full decode, two-tap resize, softmax of all
channels, label map enlarged by nearest neighbour, probabilities bilinearly). All of them run the
same program in the same runtime, in turn, in one process; the tables have medians over the rounds.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image as Pil
from rich.console import Console
from rich.table import Table

import etseg
from harness.machine import machine_line
from harness.stats import milliseconds, summary

console = Console()
FACTORS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def main() -> None:
    """Prints both tables."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--photo", type=Path, help="default: the astronaut of the tests")
    made.add_argument("--model", type=Path, help="a .pte with channels as labels; default: selfie")
    made.add_argument("--classes", type=int, default=0, help="probability maps that are asked for")
    made.add_argument("--rounds", type=int, default=15)
    options = made.parse_args()
    photo = options.photo or Path(__file__).parents[1] / "tests" / "data" / "astronaut.jpg"
    console.print(machine_line())
    for size in ((1920, 1080), (4032, 3024)):
        image = Pil.open(photo).convert("RGB").resize(size, Pil.Resampling.LANCZOS)
        grain = np.random.default_rng(0).normal(0, 3, (size[1], size[0], 3))
        image = Pil.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
        for progressive in (False, True):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=90, progressive=progressive)
            data = buffer.getvalue()
            kind = "progressive" if progressive else "baseline"
            title = f"{size[0]}x{size[1]} {kind} JPEG, {len(data) / 1e6:.1f} MB"
            _show(f"{title}: decoding", _interleaved(_decoders(data, size), options.rounds))
            _show(f"{title}: to a result", _interleaved(_paths(data, options), options.rounds))


def _decoders(data: bytes, size: tuple[int, int]) -> dict[str, Callable[[], object]]:
    encoded = np.frombuffer(data, np.uint8)
    width, height = size
    calls: dict[str, Callable[[], object]] = {}
    for factor, flag in FACTORS.items():
        calls[f"OpenCV 1/{factor}"] = lambda flag=flag: cv2.imdecode(encoded, flag)  # type: ignore[misc]
        calls[f"simplejpeg 1/{factor}"] = lambda factor=factor: simplejpeg.decode_jpeg(  # type: ignore[misc]
            data, min_width=-(-width // factor), min_height=-(-height // factor)
        )
    return calls


def _paths(data: bytes, options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    source = options.model or etseg.SELFIE_SEGMENTATION
    calls: dict[str, Callable[[], object]] = {}
    for name, scaled in (("etseg, scaled decode", True), ("etseg, full decode", False)):
        module = etseg.ImageSegmentationModule(scaled_decode=scaled)
        module.load(source)
        calls[name] = lambda module=module: module.forward(  # type: ignore[misc]
            data, range(options.classes), resize=True
        )
    module = etseg.ImageSegmentationModule()
    module.load(source)
    calls["the reference's algorithm"] = lambda: _reference(module, data, options.classes)
    return calls


def _reference(
    module: etseg.ImageSegmentationModule, data: bytes, classes: int
) -> list[npt.NDArray[np.generic]]:
    """The program is run by etseg, which adds its softmax to it: well below a millisecond."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    height, width = module.input_size
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    result = module.forward(small, list(module.labels)[:-1], channel_order="bgr")
    size = (image.shape[1], image.shape[0])
    maps = [cv2.resize(result.argmax, size, interpolation=cv2.INTER_NEAREST)]
    for index in range(classes):
        maps.append(cv2.resize(result[index], size, interpolation=cv2.INTER_LINEAR))
    return maps  # type: ignore[return-value]


def _interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 2):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 2:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def _show(title: str, times: dict[str, list[float]]) -> None:
    table = Table("", "ms", "p10 to p90", "against the last", title=title, title_justify="left")
    last = summary(list(times.values())[-1])["median"]
    for name, values in times.items():
        about = summary(values)
        spread = f"{milliseconds(about['p10'])} to {milliseconds(about['p90'])}"
        table.add_row(name, milliseconds(about["median"]), spread, f"{last / about['median']:.2f}x")
    console.print(table)


if __name__ == "__main__":
    main()
