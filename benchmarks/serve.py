"""The service under load, against module.map on the same JPEG bytes: its targets, each met or not.

    python benchmarks/serve.py [--model selfie-segmentation] [--overload-seconds 60]

Needs etseg[serve], rich, and h2load (Debian: apt install nghttp2-client), which makes the load on
the same cores; its share of them is printed, and nothing is given back for it. Ends within five
minutes.

Requests are a JPEG file of 1920x1080, answers are JSON of the photo's size: areas and boxes, which
map does not make; what it does with them stands beside it. At 70 % of saturation and at five times
as much requests are evenly spaced, whether others have been answered or not.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import etseg
from harness.images import SIZES, jpeg, photo
from harness.machine import machine_line
from harness.service import CORES, Load, Service, loaded, service, watched

console = Console(width=120)
PHOTO = Path(__file__).resolve().parents[1] / "tests" / "data" / "astronaut.jpg"


@dataclass
class Target:
    """One of the targets, and what was found."""

    what: str
    wanted: str
    found: str
    met: bool


def of_map(
    module: etseg.ImageSegmentationModule, data: bytes, seconds: float, described: bool
) -> tuple[float, float]:
    """Of module.map, or of it and of JSON of its results in its own thread: images a second, and
    milliseconds of CPU an image.
    """
    start, cpu = time.perf_counter(), time.process_time()
    last = start + seconds
    with module.map(itertools.repeat(data), resize=True) as results:
        for count, result in enumerate(results, 1):
            if described:
                result.to_json(rle=False)
            if time.perf_counter() >= last:
                took = time.perf_counter() - start
                return count / took, (time.process_time() - cpu) / count * 1e3
    raise AssertionError


def make_photo(path: Path) -> bytes:
    """A JPEG file of 1920x1080, with grain, as photos of that size have."""
    base = photo(PHOTO, SIZES["1920x1080"])
    grain = np.random.default_rng(0).normal(0, 4, base.shape)
    path.write_bytes(jpeg((base + grain).clip(0, 255).astype(np.uint8)))
    return path.read_bytes()


def throughput(
    served: Service, path: Path, options: argparse.Namespace
) -> tuple[float, list[Target]]:
    """Images a second at saturation, and its target."""
    data = path.read_bytes()
    maps: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    loads: list[Load] = []
    with etseg.ImageSegmentationModule(concurrency=CORES) as module:
        module.load(etseg.CATALOGUE.get(options.model, options.model))
        of_map(module, data, 1.0, described=False)
        for _ in range(options.rounds):
            for described, found in maps.items():
                found.append(of_map(module, data, 4.0, described))
            loads.append(loaded(served, path, 4 * CORES, 10.0))
    (plain, plain_ms), (described_rate, described_ms) = (
        np.median(found, axis=0).tolist() for found in maps.values()
    )
    rate = float(np.median([load.rate for load in loads]))
    share = float(np.median([load.share_taken for load in loads]))
    per_image = np.median([load.server / len(load.rows) for load in loads]) * 1e3
    console.print(
        f"map {plain:.1f} images/s and {plain_ms:.1f} ms of CPU an image, with JSON of each "
        f"{described_rate:.1f} and {described_ms:.1f}; the service {rate:.1f} and "
        f"{per_image:.1f}; the load took {share:.1%} of the cores"
    )
    ratio = rate / plain
    found = f"{ratio:.2f}; with JSON in map {rate / described_rate:.2f}"
    return rate, [Target("throughput at saturation, of map's", ">= 0.90", found, ratio >= 0.9)]


def latency(served: Service, path: Path, rate: float) -> Target:
    """At 70 % of saturation, against a lone request."""
    alone = float(np.median(loaded(served, path, 1, 5.0).of(200)))
    load = loaded(served, path, 64, 20.0, 0.7 * rate)
    p99 = float(np.percentile(load.of(200), 99))
    others = len(load.rows) - len(load.of(200))
    found = (
        f"{p99 / alone:.1f} x: {p99:.1f} ms against {alone:.1f}, at {load.offered:.0f} requests/s"
    )
    if others:
        found += f"; {others} not segmented"
    return Target(
        "p99 at 70 % of saturation",
        "<= 4 x the median of one alone",
        found,
        p99 <= 4 * alone and not others,
    )


def overload(served: Service, path: Path, rate: float, options: argparse.Namespace) -> list[Target]:
    """At five times saturation."""
    with watched(served) as memory:
        load = loaded(served, path, 512, options.overload_seconds, 5 * rate)
    kinds, counts = np.unique(load.rows[:, 2].astype(int), return_counts=True)
    statuses = {int(kind): int(count) for kind, count in zip(kinds, counts, strict=True)}
    console.print(
        f"overload: {load.offered:.0f} requests/s came of {5 * rate:.0f}, {load.rate:.0f} "
        f"segmented; answers by status {statuses}; the load took {load.share_taken:.0%} "
        f"of the cores"
    )
    accepted, refused = load.of(200), load.of(503)
    quarter = len(memory) // 4
    first, last = np.median(memory[quarter : 2 * quarter]), np.median(memory[-quarter:])
    late = f"p99 {np.percentile(refused, 99):.1f} ms, worst {refused.max():.0f}"
    worst = accepted.max() / 1e3
    there, others = served.answers(), {k: n for k, n in statuses.items() if k not in (200, 503)}
    found = [
        ("crashes", "none", "none" if there else "it is gone", there),
        ("other answers than 200 and 503", "none", str(others or "none"), not others),
        ("memory", "flat (5 %)", f"{first:.0f} MB, then {last:.0f}", last <= 1.05 * first),
        (
            "accepted",
            f"within {options.deadline:g} s and their own time",
            f"{worst:.2f} s at most, median {np.median(accepted) / 1e3:.2f}",
            worst <= options.deadline + 1,
        ),
        (
            "refused",
            "all within 50 ms",
            f"{(refused <= 50).mean():.2%}; {late}",
            (refused <= 50).all(),
        ),
    ]
    return [
        Target(f"5 x saturation: {what}", wanted, said, bool(met))
        for what, wanted, said, met in found
    ]


def main() -> None:
    """As the module says."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--model", default="selfie-segmentation")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--overload-seconds", type=float, default=60.0)
    made.add_argument("--deadline", type=float, default=10.0)
    options = made.parse_args()
    if shutil.which("h2load") is None:
        sys.exit("h2load is missing; apt install nghttp2-client")
    console.print(machine_line())
    with tempfile.TemporaryDirectory(prefix="etseg-serve-") as name:
        path = Path(name) / "photo.jpg"
        console.print(f"a JPEG file of {len(make_photo(path)) / 1e3:.0f} kB")
        with service(options.model, Path(name) / "log", options.deadline) as served:
            rate, targets = throughput(served, path, options)
            targets.append(latency(served, path, rate))
            targets += overload(served, path, rate, options)
    table = Table("target", "wanted", "found", "")
    for target in targets:
        table.add_row(target.what, target.wanted, target.found, "met" if target.met else "NOT MET")
    console.print(table)
    sys.exit(not all(target.met for target in targets))


if __name__ == "__main__":
    main()
