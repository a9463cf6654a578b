"""The targets for speed and memory, each measured in this run: row, target, figure, met or not.

    python benchmarks/targets.py

A ratio's two sides take turns in the same rounds; the figure is the ratio of their medians. The
rows against other software need benchmarks/setup_peers.py to have been run.
"""

from __future__ import annotations

import ctypes
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import etseg
from harness.images import SIZES, photo
from harness.machine import machine_line
from harness.models import Model, models
from harness.options import parser, photo_of
from harness.process import PeerProcess, python_of
from harness.rounds import interleave, wait_until_quiet
from harness.store import merge

console = Console()
PERSON = 15
Measure = Callable[[], float]  # milliseconds


@dataclass
class Row:
    """One line of the table. `figure` is met when at most (or at least) `target`."""

    what: str
    target: float
    figure: float
    unit: str
    detail: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.figure >= self.target if self.at_least else self.figure <= self.target


def main() -> None:
    """Measures all rows."""
    made = parser("The targets, measured.")
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--seconds", type=float, default=40, help="against other software, a row")
    made.add_argument("--without-peers", action="store_true")
    options = made.parse_args()
    console.print(f"{machine_line()}; {options.threads} threads")
    if etseg.get_num_threads() != options.threads:
        etseg.set_num_threads(options.threads)
    known = models(options.shared, options.build)
    rows = _beside_inference(known, options)
    if known["deeplab"].pte.exists():
        rows += _against_memory(known["deeplab"], options)
        if not options.without_peers:
            rows += _against_peers(known["deeplab"], options)
        rows += _memory(known["deeplab"], options)
    else:
        console.print(f"[yellow]the other rows: skipped, there is no {known['deeplab'].pte}")
    _print(rows)
    merge(options.output, "targets", [{**vars(row), "met": row.met} for row in rows])


def _beside_inference(known: dict[str, Model], options: Namespace) -> list[Row]:
    image = photo(photo_of(options), SIZES["640x480"])
    rows = []
    for name in ("selfie", "deeplab"):
        if not known[name].pte.exists():
            continue
        with etseg.ImageSegmentationModule() as module:
            module.load(known[name].pte)
            timings = []
            for _ in range(options.rounds):
                _warm(lambda module=module: module.forward(image))
                timings += [module.forward(image).timings for _ in range(10)]
        before = _median([t.preprocess / 1e6 for t in timings])
        inference = _median([t.inference / 1e6 for t in timings])
        after = _median([t.postprocess / 1e6 for t in timings])
        rows.append(
            Row(
                f"pre + post beside inference, 640x480, resize=False: {name}",
                12,
                100 * (before + after) / inference,
                "%",
                f"{before:.3f} + {after:.3f} ms, inference {inference:.2f} ms",
            )
        )
    return rows


def _against_memory(model: Model, options: Namespace) -> list[Row]:
    size = SIZES["4032x3024"]
    image = photo(photo_of(options), size)
    copy = np.empty_like(image)
    pool = ThreadPoolExecutor(1)
    with ExitStack() as stack:
        modules = {}
        for resample in ("bilinear", "antialias"):
            modules[resample] = stack.enter_context(etseg.ImageSegmentationModule())
            modules[resample].load(etseg.ModelSpec(model_source=model.pte, resample=resample))
        module = modules["bilinear"]
        reused = module.forward(image, resize=True)

        def post(classes: list[int], out: Any = None) -> float:
            result = module.forward(image, classes, resize=True, out=out)
            return result.timings.postprocess / 1e6

        measures: dict[str, Measure] = {
            "memcpy": lambda: _clocked(lambda: _copy_in_two(pool, copy, image)),
            "antialias": lambda: modules["antialias"].forward(image).timings.preprocess / 1e6,
            "bilinear": lambda: modules["bilinear"].forward(image).timings.preprocess / 1e6,
            "full": lambda: _clocked(lambda: np.full(size, 7, np.int32)),
            "post": lambda: post([]),
            "post out": lambda: post([], reused),
            "full two": lambda: _clocked(
                lambda: (np.full(size, 7, np.int32), np.full(size, 0.5, np.float32))
            ),
            "post one": lambda: post([PERSON]),
        }
        ms = _interleave(measures, options.rounds)
    pool.shutdown()

    def row(what: str, target: float, ours: str, bound: str, name: str) -> Row:
        detail = f"{ms[ours]:.2f} ms, {name} {ms[bound]:.2f} ms"
        return Row(what, target, ms[ours] / ms[bound], "x", detail)

    to = "resize=True to 4032x3024"
    copied = "two-thread memcpy of the image"
    return [
        row("antialiased preprocess of 12 MP to 257x257", 1.5, "antialias", "memcpy", copied),
        row(f"post, {to}, ARGMAX only, fresh array", 1.5, "post", "full", "np.full of it"),
        row(f"post, {to}, ARGMAX only, out=", 4.5 / 5.4, "post out", "full", "np.full of it"),
        row(f"post, {to}, ARGMAX + one map, fresh", 3, "post one", "full two", "np.full of both"),
    ]


def _against_peers(model: Model, options: Namespace) -> list[Row]:
    wanted = [
        ("executorch-cv2", "(a) executorch + per-plane cv2", {"none": 60.0, "one": 60.0}),
        ("executorch-torch", "(a) executorch + F.interpolate", {"none": 100.0, "one": 100.0}),
        ("reference", "(d) the reference's algorithm", {"none": 3.0, "one": 5.0}),
    ]
    there = [entry for entry in wanted if python_of(entry[0], options.build) is not None]
    for name, title, _ in (entry for entry in wanted if entry not in there):
        console.print(f"[yellow]{title}: skipped, no environment for {name}; run setup_peers.py")
    rows = []
    size = SIZES["4032x3024"]
    maps = [np.ones(size, np.int32), np.ones(size, np.float32)]
    pool = ThreadPoolExecutor(1)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "image.npy"
        np.save(path, photo(photo_of(options), size))
        processes = []
        for name in ["etseg", "etseg-bilinear", *(entry[0] for entry in there)]:
            process = stack.enter_context(PeerProcess(name, options.build))
            process.load(model, options.threads)
            process.image(path, is_file=False)
            processes.append(process)
        for asked, classes, written in (("none", [], maps[:1]), ("one", [PERSON], maps)):
            writing = []

            def write(_: int, written: list[Any] = written, into: list[float] = writing) -> None:
                into += [_clocked(lambda: _set_in_two(pool, written)) for _ in range(5)]

            measured = interleave(
                processes,
                classes,
                True,
                rounds=options.rounds,
                seconds=options.seconds,
                on_round=write,
            )
            ms = {name: peer["total"]["median"] for name, peer in measured.items()}
            floor = measured["etseg"]["inference"]["median"] + _median(writing)
            for name, title, target in there:
                what = f"whole forward, 12 MP, resize=True, maps: {asked}, against {title}"
                # The peers shrink the photo without antialiasing: that is the same work.
                detail = (
                    f"{ms['etseg-bilinear']:.2f} ms against {ms[name]:,.1f} ms; antialiased "
                    f"{ms['etseg']:.2f} ms, {ms[name] / ms['etseg']:.3g} x; inference and "
                    f"memset of the maps {floor:.2f} ms, {ms[name] / floor:.3g} x"
                )
                figure = ms[name] / ms["etseg-bilinear"]
                rows.append(Row(what, target[asked], figure, "x faster", detail, True))
    pool.shutdown()
    return rows


def _memory(model: Model, options: Namespace) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        np.save(path, photo(photo_of(options), SIZES["4032x3024"]))
        for asked, classes in (("none", []), ("all 21", list(range(21)))):
            with PeerProcess("etseg", options.build) as process:
                process.load(model, options.threads)
                process.image(path, is_file=False)
                measured = process.memory(classes, True)
            what = f"peak RSS above the arrays returned, 12 MP, resize=True, maps: {asked}"
            detail = f"arrays {measured['returned'] / 1e6:.0f} MB"
            rows.append(Row(what, 20, measured["above"] / 1e6, "MB", detail))
    return rows


def _interleave(measures: dict[str, Measure], rounds: int) -> dict[str, float]:
    samples: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            _warm(measure)
            samples[name] += [measure(), measure()]
    return {name: _median(values) for name, values in samples.items()}


def _warm(measure: Callable[[], object], seconds: float = 0.02) -> None:
    wait_until_quiet()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        measure()


def _clocked(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    kept = work()
    elapsed = time.perf_counter() - start
    del kept  # freeing is not counted, on either side
    return elapsed * 1e3


def _copy_in_two(pool: ThreadPoolExecutor, target: Any, source: Any) -> None:
    middle = len(source) // 2
    half = pool.submit(np.copyto, target[middle:], source[middle:])
    np.copyto(target[:middle], source[:middle])
    half.result()


def _set_in_two(pool: ThreadPoolExecutor, arrays: list[Any]) -> None:
    """The fastest way to write arrays that the C library has, on two threads."""

    def write(part: int) -> None:
        for array in arrays:
            half = array.nbytes // 2
            ctypes.memset(array.ctypes.data + part * half, 0, half)

    other = pool.submit(write, 1)
    write(0)
    other.result()


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _print(rows: list[Row]) -> None:
    table = Table(title="Targets", title_justify="left")
    table.add_column("what")
    for column in ("target", "measured", "how"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        sign = ">=" if row.at_least else "<="
        verdict = "[green]met[/]" if row.met else "[red]not met[/]"
        measured = f"{row.figure:.3g} {row.unit}"
        table.add_row(
            row.what, f"{sign} {row.target:.3g} {row.unit}", measured, row.detail, verdict
        )
    console.print(table)


if __name__ == "__main__":
    main()
