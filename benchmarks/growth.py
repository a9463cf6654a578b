"""How the cost of a forward grows: with pixels, with classes, with threads.

    python benchmarks/growth.py

Merges into the file that compare.py writes; plot.py pictures both.
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.images import photo
from harness.machine import machine_line
from harness.models import CLASS_COUNTS, Model, many_classes, models
from harness.options import names, parser, photo_of
from harness.peers import PEERS
from harness.process import PeerProcess, python_of
from harness.rounds import interleave
from harness.stats import milliseconds
from harness.store import merge

console = Console()

#: Height and width, 0.3 to 50 million pixels.
PIXELS = ((480, 640), (768, 1024), (1080, 1920), (1728, 2304), (3024, 4032), (6000, 8000))
#: The peers' block of all planes must fit into memory: 4 GB at most.
MOST_PLANE_BYTES = 4e9


def main() -> None:
    """Measures what was asked for."""
    made = parser("How the cost of a forward grows.")
    made.add_argument("--of", default="pixels,classes,threads")
    made.add_argument("--peers", default="etseg,reference,executorch-cv2,executorch-torch")
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--seconds", type=float, default=8, help="a point at most, about")
    options = made.parse_args()
    console.print(machine_line())
    deeplab = models(options.shared, options.build)["deeplab"]
    measures = {"pixels": _pixels, "classes": _classes, "threads": _threads}
    with tempfile.TemporaryDirectory() as folder:
        for what in names(options.of):
            measures[what](deeplab, Path(folder), options)


def _pixels(model: Model, folder: Path, options: Namespace) -> None:
    rows = []
    for size in PIXELS:
        image = _image(folder, size, options)
        for asked, classes in (("none", []), ("one", [15])):
            rows += _point("pixels", model, image, size, classes, {"classes": asked}, options)
    _print("pixels", rows)


def _classes(_: Model, folder: Path, options: Namespace) -> None:
    size = (480, 640)
    image = _image(folder, size, options)
    rows = []
    for channels in CLASS_COUNTS:
        model = many_classes(channels, options.build)
        for asked, classes in (("none", []), ("one", [0])):
            rows += _point("classes", model, image, size, classes, {"classes": asked}, options)
    _print("classes", rows)


def _threads(model: Model, folder: Path, options: Namespace) -> None:
    rows = []
    for size in ((480, 640), (3024, 4032)):
        image = _image(folder, size, options)
        for threads in range(1, len(os.sched_getaffinity(0)) + 1):
            alone = Namespace(**{**vars(options), "threads": threads, "peers": "etseg"})
            for asked, classes in (("none", []), ("one", [15])):
                rows += _point("threads", model, image, size, classes, {"classes": asked}, alone)
    _print("threads", rows)


def _image(folder: Path, size: tuple[int, int], options: Namespace) -> Path:
    path = folder / f"{size[1]}x{size[0]}.npy"
    if not path.exists():
        np.save(path, photo(photo_of(options), size))
    return path


def _point(
    section: str,
    model: Model,
    image: Path,
    size: tuple[int, int],
    classes: list[int],
    about: dict[str, Any],
    options: Namespace,
) -> list[dict[str, Any]]:
    plane_bytes = 4 * size[0] * size[1] * model.channels
    with ExitStack() as stack:
        processes = []
        for name in names(options.peers):
            heavy = name.startswith("executorch") and plane_bytes > MOST_PLANE_BYTES
            if not model.pte.exists() or python_of(name, options.build) is None or heavy:
                console.print(f"[yellow]{name}, {model.name}, {size}: skipped")
                continue
            process = stack.enter_context(PeerProcess(name, options.build))
            process.load(model, options.threads)
            process.image(image, is_file=False)
            processes.append(process)
        measured = interleave(
            processes, classes, True, rounds=options.rounds, seconds=options.seconds
        )
    common = {
        "model": model.name,
        "size": f"{size[1]}x{size[0]}",
        "pixels": size[0] * size[1],
        "channels": model.channels,
        "threads": options.threads,
        **about,
    }
    rows = [{**common, "peer": name, **row} for name, row in measured.items()]
    merge(options.output, section, rows)
    return rows


def _print(section: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=f"Growth with {section}; ms, medians, resize=True", title_justify="left")
    table.add_column("peer")
    columns = ("preprocess", "inference", "postprocess", "total")
    for column in ("size", "channels", "maps", "threads", *columns):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (milliseconds(row[column]["median"]) for column in columns)
        where = (row["size"], row["channels"], row["classes"], row["threads"])
        table.add_row(PEERS[row["peer"]].title, *map(str, where), *figures)
    console.print(table)


if __name__ == "__main__":
    main()
