"""etseg beside what people would use instead: same weights, same image, same run.

    python benchmarks/setup_peers.py       # once
    python benchmarks/compare.py           # 15 minutes; --help for parts of it

Every peer runs in a process of its own; in every round each has one turn. Prints tables, and
writes the medians and spreads to a JSON file, which plot.py pictures.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from harness.images import SIZES, jpeg, photo
from harness.machine import machine_line
from harness.models import Model, models
from harness.options import names, parser, photo_of
from harness.peers import PEERS
from harness.process import PeerError, PeerProcess, python_of
from harness.rounds import agreement, interleave
from harness.stats import milliseconds
from harness.store import merge

console = Console()


def main() -> None:
    """Measures what was asked for."""
    options = _options()
    photo_path = photo_of(options)
    console.print(f"{machine_line()}; {options.threads} threads each")
    known = models(options.shared, options.build)
    with tempfile.TemporaryDirectory() as folder:
        for name in names(options.models):
            model = known[name]
            if not model.pte.exists():
                console.print(f"[yellow]{model.title}: skipped, there is no {model.pte}")
                continue
            _compare_model(model, photo_path, Path(folder), options)


def _options() -> Namespace:
    made = parser("etseg beside what people would use instead.")
    made.add_argument("--models", default="selfie,deeplab,lraspp")
    made.add_argument("--sizes", default=",".join(SIZES))
    made.add_argument("--sources", default="array", help="array, jpeg (decoded in every forward)")
    made.add_argument("--classes", default="none,one,all", help="how many probability maps")
    made.add_argument("--resize", default="false,true")
    made.add_argument("--peers", default=",".join(PEERS))
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--seconds", type=float, default=15, help="a configuration at most, about")
    made.add_argument("--memory", default="4032x3024", help="sizes to measure peak memory at")
    made.add_argument("--only-memory", action="store_true")
    options = made.parse_args()
    unknown = [name for name in names(options.peers) if name not in PEERS]
    if unknown:
        made.error(f"unknown peers {unknown}; known: {list(PEERS)}")
    return options


def _compare_model(model: Model, photo_path: Path, folder: Path, options: Namespace) -> None:
    console.rule(model.title)
    usable = _usable(model, options)
    if not options.only_memory:
        with ExitStack() as stack:
            processes = []
            for name in usable:
                process = stack.enter_context(PeerProcess(name, options.build))
                process.load(model, options.threads)
                processes.append(process)
            for size in names(options.sizes):
                for source in names(options.sources):
                    image = _prepare(photo_path, size, source, folder)
                    for process in processes:
                        process.image(image, is_file=source == "jpeg")
                    _compare_size(model, size, source, processes, options)
    for size in names(options.memory):
        image = _prepare(photo_path, size, "array", folder)
        _compare_memory(model, size, image, usable, options)


def _usable(model: Model, options: Namespace) -> list[str]:
    usable = []
    for name in names(options.peers):
        if name == "mediapipe" and model.name != "selfie":
            continue
        if python_of(name, options.build) is None:
            console.print(f"[yellow]{name}: skipped, run benchmarks/setup_peers.py")
        elif PEERS[name].module == "onnx_peers" and not model.onnx.exists():
            console.print(f"[yellow]{name}: skipped, there is no {model.onnx}")
        else:
            usable.append(name)
    return usable


def _prepare(photo_path: Path, size: str, source: str, folder: Path) -> Path:
    path = folder / f"{size}.{'jpg' if source == 'jpeg' else 'npy'}"
    if not path.exists():
        pixels = photo(photo_path, SIZES[size])
        if source == "jpeg":
            path.write_bytes(jpeg(pixels))
        else:
            np.save(path, pixels)
    return path


def _compare_size(
    model: Model, size: str, source: str, processes: list[PeerProcess], options: Namespace
) -> None:
    for resize in (text == "true" for text in names(options.resize)):
        for asked, classes in _class_lists(model, options):
            able = [p for p in processes if resize or p.name != "mediapipe"]
            title = f"{size} {source}, resize={resize}, classes: {asked}"
            measured = _interleave(title, able, classes, resize, options)
            samples = {p.name: p.sample(classes, resize) for p in able}
            # The others shrink the photo bilinearly, so masks are compared with that of etseg's.
            ours = samples.get("etseg-bilinear", next(iter(samples.values())))
            about = {
                "model": model.name,
                "size": size,
                "source": source,
                "resize": resize,
                "classes": asked,
                "threads": options.threads,
            }
            rows = [
                {**about, "peer": n, **measured[n], "agreement": agreement(ours, samples[n])}
                for n in measured
            ]
            merge(options.output, "times", rows)
            _print_times(title, rows)


def _interleave(
    title: str, able: list[PeerProcess], classes: list[int], resize: bool, options: Namespace
) -> dict[str, Any]:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=options.rounds)
        return interleave(
            able,
            classes,
            resize,
            rounds=options.rounds,
            seconds=options.seconds,
            on_round=lambda done: progress.update(task, completed=done),
        )


def _class_lists(model: Model, options: Namespace) -> list[tuple[str, list[int]]]:
    # One class: the person of the selfie model, the person of the 21 Pascal classes.
    person = 15 if model.labels == 21 else 0
    lists = {"none": [], "one": [person], "all": list(range(model.labels))}
    return [(asked, lists[asked]) for asked in names(options.classes)]


def _compare_memory(
    model: Model, size: str, image: Path, usable: list[str], options: Namespace
) -> None:
    rows = []
    for asked, classes in _class_lists(model, options):
        for name in usable:
            # A fresh process: an allocator that keeps memory would hide what a call needs.
            with PeerProcess(name, options.build) as process:
                process.load(model, options.threads)
                process.image(image, is_file=False)
                try:
                    measured = process.memory(classes, True)
                except PeerError as error:
                    console.print(f"[yellow]{name}: {error}")
                    continue
            about = {"model": model.name, "size": size, "resize": True, "classes": asked}
            rows.append({**about, "threads": options.threads, "peer": name, **measured})
    merge(options.output, "memory", rows)
    table = Table(title=f"Peak memory, {size} array, resize=True, MB", title_justify="left")
    for column in ("peer", "classes", "arrays returned", "above them", "process at its peak"):
        table.add_column(column, justify="left" if column in ("peer", "classes") else "right")
    for row in rows:
        figures = (f"{row[key] / 1e6:,.1f}" for key in ("returned", "above", "peak"))
        table.add_row(PEERS[row["peer"]].title, row["classes"], *figures)
    console.print(table)


def _print_times(title: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=f"{title}; ms, medians", title_justify="left")
    columns = ("decode", "preprocess", "inference", "postprocess", "total")
    table.add_column("peer")
    for column in (*columns, "p10-p90", "runs", "cpu", "x etseg", "same labels", "diff."):
        table.add_column(column, justify="right")
    ours = next((row["total"]["median"] for row in rows if row["peer"] == "etseg"), None)
    for row in rows:
        stages = [milliseconds(row[c]["median"]) if c in row else "" for c in columns]
        total, agreed = row["total"], row["agreement"]
        table.add_row(
            PEERS[row["peer"]].title,
            *stages,
            f"{milliseconds(total['p10'])}-{milliseconds(total['p90'])}",
            str(row["runs"]),
            milliseconds(row["cpu"]["median"]),
            f"{total['median'] / ours:.2f}" if ours else "",
            f"{agreed['same_label']:.2%}",
            f"{agreed['largest_difference']:.0e}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
