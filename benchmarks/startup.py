"""What starting etseg costs, by package: imports in fresh processes.

    python benchmarks/startup.py [--rounds N] [--modules N]

Each case runs under ``python -X importtime`` several times; the table has medians, in milliseconds.
What a package takes of the standard library counts as its own, but for what numpy or an empty
command of click take anyway, which counts as theirs whoever is first. Modules of the bare
interpreter are left out. Bytecode is written and read, as after an installation, whatever
PYTHONDONTWRITEBYTECODE says; a first run, which writes it, is not counted.
``--modules`` lists the slowest modules of each case.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from harness.machine import machine_line

PHOTO = Path(__file__).parents[1] / "tests" / "data" / "astronaut.jpg"
#: What has a column of its own.
PACKAGES = ("etseg", "numpy", "cv2", "click", "simplejpeg")
CASES = {
    "import etseg": ["-c", "import etseg"],
    "etseg --help": ["-m", "etseg", "--help"],
    "etseg segment PHOTO": ["-m", "etseg", "segment", str(PHOTO)],
    "etseg segment PHOTO -o FILE.png": ["-m", "etseg", "segment", str(PHOTO), "-o", "{}/a.png"],
    "etseg segment PHOTO --mask FILE.png": [
        *("-m", "etseg", "segment", str(PHOTO), "--mask", "{}/b.png"),
    ],
}
#: What starts the other packages, and does nothing.
IDLE = {
    "click": "import click; click.command()(lambda: None).main([], standalone_mode=False)",
    "numpy": "import numpy",
}
ENVIRONMENT = {name: of for name, of in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
console = Console()


class Imported(NamedTuple):
    """A line of -X importtime: a module, and who wanted it, the nearest first."""

    module: str
    microseconds: int
    above: tuple[str, ...]


class Run(NamedTuple):
    """One process."""

    imports: list[Imported]
    seconds: float


def main() -> None:
    """Prints the tables."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--modules", type=int, default=0, help="list so many of each case")
    options = made.parse_args()
    console.print(machine_line())
    table = Table("ms", *PACKAGES, "others", "all imports", "process", "modules")
    with tempfile.TemporaryDirectory() as folder:
        bare = {one.module for one in run(["-c", "pass"], folder).imports}
        theirs = {
            one.module: package
            for package, code in IDLE.items()
            for one in run(["-c", code], folder).imports
        }
        for arguments in CASES.values():
            run(arguments, folder)
        runs = {name: [] for name in CASES}
        for _ in range(options.rounds):
            for name, arguments in CASES.items():
                runs[name].append(run(arguments, folder))
    for name, of_case in runs.items():
        shares = [by_package(one.imports, bare, theirs) for one in of_case]
        cells = [median(share[one] for share in shares) for one in (*PACKAGES, "others")]
        cells += [median(sum(share.values()) for share in shares)]
        cells += [median(one.seconds for one in of_case) * 1e3]
        count = len({one.module for one in of_case[0].imports} - bare)
        table.add_row(name, *(f"{cell:.1f}" for cell in cells), str(count))
        if options.modules:
            list_slowest(name, of_case, bare, options.modules)
    console.print(table)


def run(arguments: list[str], folder: str) -> Run:
    """A fresh process, whose imports are timed; and once more, which takes as long as it takes."""
    command = [one.format(folder) for one in arguments]
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, env=ENVIRONMENT)
    seconds = time.perf_counter() - start
    timed = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    return Run(list(imports_of(timed.stderr)), seconds)


def imports_of(text: str) -> Iterator[Imported]:
    """The lines, with who wanted each: a module comes after what it imports, further left."""
    above: list[tuple[int, str]] = []
    for line in reversed(text.splitlines()):
        head, _, rest = line.partition("import time:")
        own, _, rest = rest.partition("|")
        name = rest.partition("|")[2]
        if head or not own.strip().isdigit():
            continue
        depth = len(name) - len(name.lstrip())
        while above and above[-1][0] >= depth:
            above.pop()
        yield Imported(name.strip(), int(own), tuple(one for _, one in reversed(above)))
        above.append((depth, name.strip()))


def by_package(imports: list[Imported], bare: set[str], theirs: dict[str, str]) -> dict[str, float]:
    """Milliseconds by package."""
    times: dict[str, float] = defaultdict(float)
    for one in imports:
        if one.module in bare:
            continue
        packages = [name.partition(".")[0] for name in (one.module, *one.above)]
        owners = [name for name in packages if name not in sys.stdlib_module_names]
        owner = theirs.get(one.module, owners[0] if owners else "others")
        owner = owner if owner in PACKAGES else "others"
        times[owner] += one.microseconds / 1e3
    return times


def list_slowest(name: str, runs: list[Run], bare: set[str], most: int) -> None:
    """The modules that take the longest themselves."""
    times = defaultdict(list)
    wanted = {}
    for one in (one for of_run in runs for one in of_run.imports if one.module not in bare):
        times[one.module].append(one.microseconds / 1e3)
        wanted[one.module] = next(iter(one.above), "")
    table = Table(name, "ms", "wanted by")
    slowest = sorted(times, key=lambda module: -median(times[module]))
    for module in slowest[:most]:
        table.add_row(module, f"{median(times[module]):.2f}", wanted[module])
    console.print(table)


if __name__ == "__main__":
    main()
