"""Many images: what module.map() and concurrency=N reach of what the cores allow.

    python benchmarks/throughput.py [--rounds N] [--resize] [--models deeplab,selfie]

A folder of JPEG files (1920x1080, made from photos): a plain loop over forward(), on one instance
that uses all cores, beside map() on one and on two instances. The bound is the number of cores
divided by the CPU time of one image, decoding, preprocess, inference and postprocess, in a loop on
one thread: what perfect use of all cores would give, if nothing cost more with both of them busy.

Then arrays from two threads, on two instances and on one; and the memory of 1, 2 and 4 instances.
All contestants take a turn in each round; the tables have medians over the rounds, and the ratios
are medians of those of each round. A turn in which others used the cores is taken again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import etseg
from harness.images import SIZES, jpeg, photo
from harness.machine import machine_line
from harness.memory import resident
from harness.models import Model, models
from harness.options import names, parser
from harness.rounds import wait_until_quiet
from harness.stats import summary
from harness.store import merge

console = Console()
CORES = len(os.sched_getaffinity(0))
INSTANCES = (1, 2, 4)
#: Share of the cores' time that others may use in a turn, and how often it is tried again.
DISTURBED = 0.03
ATTEMPTS = 8
Turn = Callable[[], float]  # images (or CPU seconds of one) by what was done


@dataclass
class Row:
    """One contestant of one comparison."""

    model: str
    what: str
    median: float
    p10: float
    p90: float
    of: dict[str, float]  # ratios to others, medians of those of each round


def main() -> None:
    """Measures, prints, and keeps."""
    if sys.argv[1:2] == ["--instances"]:  # a process of its own, for _memory()
        _print_memory(Path(sys.argv[3]), int(sys.argv[2]))
        return
    made = parser("What map() and concurrency=N reach of what the cores allow.")
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--images", type=int, default=100, help="JPEG files in the folder")
    made.add_argument("--resize", action="store_true", help="maps of the photo's size")
    made.add_argument("--models", type=names, default=["deeplab", "selfie"])
    made.add_argument("--only", choices=("folder", "arrays", "memory"))
    options = made.parse_args()
    console.print(f"{machine_line()}; {CORES} cores")
    known = models(options.shared, options.build)
    chosen = []
    for name in options.models:
        if known[name].pte.exists():
            chosen.append(known[name])
        else:
            console.print(f"[yellow]{name}: skipped, there is no {known[name].pte}")
    rows: list[Row] = []
    if options.only in (None, "folder"):
        with tempfile.TemporaryDirectory() as folder:
            files = _files(Path(folder), options)
            for model in chosen:
                for scaled in (True, False):
                    rows += _folder(model, files, scaled, options)
    for model in chosen:
        if options.only in (None, "arrays"):
            rows += _arrays(model, options)
        if options.only in (None, "memory"):
            _memory(model)
    merge(options.output, "throughput", [{**vars(row), "resize": options.resize} for row in rows])


def _files(folder: Path, options: Namespace) -> list[Path]:
    """JPEG files of 1920x1080: the photos there are, with grain, as photos of that size have."""
    pictures = sorted((options.shared / "images").glob("*.png"))
    if options.photo or not pictures:
        bundled = Path(__file__).parents[1] / "tests" / "data" / "astronaut.jpg"
        pictures = [options.photo or bundled]
    chance = np.random.default_rng(0)
    files = []
    for number in range(options.images):
        image = photo(pictures[number % len(pictures)], SIZES["1920x1080"])
        grain = chance.normal(0, 4, image.shape)
        path = folder / f"{number:03}.jpg"
        path.write_bytes(jpeg((image + grain).clip(0, 255).astype(np.uint8)))
        files.append(path)
    mean = sum(path.stat().st_size for path in files) / len(files)
    console.print(f"{len(files)} JPEG files of {mean / 1e6:.2f} MB from {len(pictures)} photos")
    return files


def _folder(model: Model, files: Sequence[Path], scaled: bool, options: Namespace) -> list[Row]:
    one = etseg.ImageSegmentationModule(scaled_decode=scaled)
    two = etseg.ImageSegmentationModule(concurrency=2, scaled_decode=scaled)
    with one, two:
        one.load(model.pte)
        two.load(model.pte)

        def loop(module: etseg.ImageSegmentationModule, files: Sequence[Path] = files) -> None:
            for path in files:
                module.forward(path, resize=options.resize)

        def by_hand() -> None:
            """Each thread a share of the files, no order, nothing ahead."""
            shares = [files[first::CORES] for first in range(CORES)]
            threads = [threading.Thread(target=loop, args=(two, share)) for share in shares]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def through_map(module: etseg.ImageSegmentationModule) -> None:
            with module.map(files, resize=options.resize) as results:
                for _ in results:
                    pass

        def bound() -> float:
            """Two instances take turns on this one thread, and use no other."""
            start = time.thread_time()
            loop(two)
            return CORES * len(files) / (time.thread_time() - start)

        rates = _interleaved(
            {
                "bound": bound,
                "loop": lambda: _rate(len(files), lambda: loop(one)),
                "loop, concurrency=2": lambda: _rate(len(files), lambda: loop(two)),
                "threads by hand, concurrency=2": lambda: _rate(len(files), by_hand),
                "map": lambda: _rate(len(files), lambda: through_map(one)),
                "map, concurrency=2": lambda: _rate(len(files), lambda: through_map(two)),
            },
            options.rounds,
        )
    decoding = "scaled decode" if scaled else "full decode"
    size = "1920x1080" if options.resize else "the model's size"
    title = f"{model.title}: {len(files)} JPEG files, {decoding}, maps of {size}"
    return _show(title, f"folder, {decoding}", model, rates, ["bound", "loop"])


def _arrays(model: Model, options: Namespace) -> list[Row]:
    source = options.photo or options.shared / "images" / "astronaut.png"
    if not source.exists():
        source = Path(__file__).parents[1] / "tests" / "data" / "astronaut.jpg"
    image = photo(source, SIZES["640x480"])
    one = etseg.ImageSegmentationModule()
    two = etseg.ImageSegmentationModule(concurrency=2)
    with one, two:
        one.load(model.pte)
        two.load(model.pte)

        def forwards(
            module: etseg.ImageSegmentationModule, threads: int, count: int = 150
        ) -> float:
            def work() -> None:
                for _ in range(count):
                    module.forward(image)

            others = [threading.Thread(target=work) for _ in range(threads - 1)]

            def together() -> None:
                for other in others:
                    other.start()
                work()
                for other in others:
                    other.join()

            return _rate(threads * count, together)

        alone, serial = "1 thread, concurrency=2", "2 threads, concurrency=1"
        rates = _interleaved(
            {
                alone: lambda: forwards(two, 1),
                serial: lambda: forwards(one, 2),
                "1 thread, concurrency=1": lambda: forwards(one, 1),
                "2 threads, concurrency=2": lambda: forwards(two, 2),
            },
            options.rounds,
        )
    title = f"{model.title}: arrays of 640x480, resize=False"
    return _show(title, "arrays", model, rates, [alone, serial])


def _memory(model: Model) -> None:
    """Each figure from a process of its own."""
    table = Table(title=f"{model.title}: memory", title_justify="left")
    for column in ("instances", "MB after load and forwards", "above one instance", "load, ms"):
        table.add_column(column, justify="right")
    first = 0.0
    for count in INSTANCES:
        command = [sys.executable, __file__, "--instances", str(count), str(model.pte)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        megabytes, load = map(float, done.stdout.split())
        first = first or megabytes
        table.add_row(str(count), f"{megabytes:.1f}", f"{megabytes - first:.1f}", f"{load:.1f}")
    console.print(table)


def _print_memory(pte: Path, instances: int) -> None:
    """What the model adds to a process that has run another: the packages, the pool."""
    image = np.zeros((480, 640, 3), np.uint8)
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        module.forward(image)
    module = etseg.ImageSegmentationModule(concurrency=instances)
    before = resident()
    start = time.perf_counter()
    module.load(pte)
    load = time.perf_counter() - start
    # As many at a time as there are instances: each has its memory touched.
    with module.map([image] * 20 * instances) as results:
        for _ in results:
            pass
    print((resident() - before) / 1e6, load * 1e3)


def _rate(images: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


def _interleaved(turns: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in turns}
    disturbed = 0
    for number in range(-1, rounds):  # the first is for the caches
        order = list(turns)
        shift = number % len(order)
        for name in [*order[shift:], *order[:shift]]:
            for _ in range(ATTEMPTS):
                wait_until_quiet()
                start, others = time.perf_counter(), _cpu_of_others()
                rate = turns[name]()
                others = _cpu_of_others() - others
                if others <= DISTURBED * CORES * (time.perf_counter() - start):
                    break
            else:
                disturbed += 1
            if number >= 0:
                rates[name].append(rate)
    if disturbed:
        console.print(f"[yellow]{disturbed} turns were disturbed by others, in each attempt")
    return rates


def _cpu_of_others() -> float:
    """Seconds of CPU time that everybody but this process has used, or the host has withheld."""
    fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    busy = user + nice + system + irq + softirq + steal
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


def _show(
    title: str, what: str, model: Model, rates: dict[str, list[float]], against: Sequence[str]
) -> list[Row]:
    table = Table("", title=title, title_justify="left")
    for column in ("images/s", "p10 to p90", *(f"of: {name}" for name in against)):
        table.add_column(column, justify="right")
    rows = []
    for name, values in rates.items():
        about: Any = summary(values)
        ratios = {
            other: float(np.median(np.divide(values, rates[other])))
            for other in against
            if other != name
        }
        rows.append(Row(model.name, f"{what}: {name}", **about, of=ratios))
        shown = [f"{100 * ratios[other]:.0f} %" if other in ratios else "" for other in against]
        spread = f"{about['p10']:.0f} to {about['p90']:.0f}"
        table.add_row(name, f"{about['median']:.1f}", spread, *shown)
    console.print(table)
    return rows


if __name__ == "__main__":
    main()
