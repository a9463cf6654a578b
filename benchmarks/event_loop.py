"""Whether an event loop stays free while images are segmented.

    python benchmarks/event_loop.py [--models deeplab,selfie] [--seconds N] [--loop uvloop]

A ticker on the loop wants to wake every millisecond; how late it does is what any other task of the
loop would wait. Idle; while forward_async() runs back to back, with new arrays and with out=, and
four at a time; while forward() is called on the loop itself, back to back. Each gets a share of the
time in each round, in turn. The image has 12 megapixels, once as an array and once as a JPEG file,
with resize=True and one map.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import etseg
from harness.images import SIZES, jpeg, photo
from harness.machine import machine_line
from harness.models import Model, models
from harness.options import names, parser, photo_of
from harness.stats import milliseconds
from harness.store import merge

console = Console()

TICK = 0.001
ROUNDS = 5


@dataclass
class Load:
    """What goes on beside the ticker.

    Attributes:
        step: does a part of it, and says how many images that were.
        lateness: of each tick, in ms.
    """

    name: str
    step: Callable[[], Awaitable[int]]
    lateness: list[float] = field(default_factory=list)
    images: int = 0
    seconds: float = 0.0


def main() -> None:
    """Measures, prints, and keeps."""
    made = parser("Whether an event loop stays free while images are segmented.")
    made.add_argument("--models", type=names, default=["deeplab", "selfie"])
    made.add_argument("--seconds", type=float, default=4.0, help="for each line of the tables")
    made.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    made.add_argument("--concurrency", type=int, default=1)
    options = made.parse_args()
    console.print(machine_line())
    run: Callable[..., None] = asyncio.run
    if options.loop == "uvloop":
        import uvloop

        run = uvloop.run
    known = models(options.shared, options.build)
    image = photo(photo_of(options), SIZES["4032x3024"])
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(jpeg(image))
        for model in (known[name] for name in options.models):
            if not model.pte.exists():
                console.print(f"[yellow]{model.name}: skipped, there is no {model.pte}")
                continue
            for source, given in (("array", image), ("jpeg", path)):
                title = f"{model.title}; 4032x3024 {source}; {options.loop}"
                with etseg.ImageSegmentationModule(concurrency=options.concurrency) as module:
                    module.load(model.pte)
                    loads = _loads(module, given)
                    run(_measure(loads, options.seconds))
                rows += _show(title, model, source, options.loop, loads)
    merge(options.output, "event_loop", rows)


def _loads(module: etseg.ImageSegmentationModule, image: object) -> list[Load]:
    async def nothing() -> int:
        await asyncio.sleep(0.01)
        return 0

    async def one() -> int:
        await module.forward_async(image, [0], resize=True)
        return 1

    result = module.forward(image, [0], resize=True)

    async def reusing() -> int:
        await module.forward_async(image, [0], resize=True, out=result)
        return 1

    async def four() -> int:
        await asyncio.gather(*(one() for _ in range(4)))
        return 4

    async def on_the_loop() -> int:
        module.forward(image, [0], resize=True)
        await asyncio.sleep(0)
        return 1

    return [
        Load("idle", nothing),
        Load("forward_async", one),
        Load("forward_async, out=", reusing),
        Load("four forward_async", four),
        Load("forward on the loop", on_the_loop),
    ]


async def _measure(loads: list[Load], seconds: float) -> None:
    for load in loads:  # threads, caches and the pool are there before it counts
        await load.step()
    for turn in range(ROUNDS):
        # Another one begins in every round: nobody always follows the same neighbour.
        for load in [*loads[turn % len(loads) :], *loads[: turn % len(loads)]]:
            await asyncio.sleep(0.05)
            ticker = asyncio.create_task(_tick(load.lateness))
            start = time.perf_counter()
            while time.perf_counter() < start + seconds / ROUNDS:
                load.images += await load.step()
            load.seconds += time.perf_counter() - start
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker


async def _tick(lateness: list[float]) -> None:
    while True:
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        lateness.append((time.perf_counter() - due) * 1e3)


def _show(
    title: str, model: Model, source: str, loop: str, loads: list[Load]
) -> list[dict[str, object]]:
    table = Table("beside the ticker", "ticks", "median", "p99", "max", "images/s", title=title)
    table.caption = "how late a tick is, ms"
    rows: list[dict[str, object]] = []
    for load in loads:
        median, p99 = np.percentile(load.lateness, (50, 99))
        rate = load.images / load.seconds
        table.add_row(
            load.name,
            f"{len(load.lateness):,}",
            *map(milliseconds, (median, p99, max(load.lateness))),
            f"{rate:.1f}",
        )
        rows.append(
            {
                "model": model.name,
                "source": source,
                "what": f"{load.name}, {loop}",
                "median_ms": float(median),
                "p99_ms": float(p99),
                "max_ms": max(load.lateness),
                "images_per_second": rate,
            }
        )
    console.print(table)
    return rows


if __name__ == "__main__":
    main()
