"""Why a threshold of the kernels is what it is: the same row with several values of it.

    python benchmarks/kernels/thresholds.py kMaxSpread 0.25F 0.5F 1.0F --row "12 MP, 1 plane"

The constant is looked for in a copy of the sources and replaced there; for each value the benchmark
is built, then all are run in turns on one thread. Shown is, of each row, the least of the medians:
milliseconds of processor time into arrays that are reused. Needs cmake, ninja and a compiler.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("CMakeLists.txt", "cpp", "benchmarks/kernels")
ROW = re.compile(r"(?P<row>.+?)  +(?P<isa>\w+) +1 thread .*reused +(?P<ms>[\d.]+) ms")


def defined_in(sources: Path, name: str) -> Path:
    """The file that gives the constant its value.

    Raises:
        SystemExit: there is none, or more than one.
    """
    pattern = re.compile(rf"constexpr [^;=]*\b{name} =")
    found = [
        path
        for path in sorted((sources / "cpp").rglob("*"))
        if path.suffix in {".h", ".cpp"} and pattern.search(path.read_text("utf-8"))
    ]
    if len(found) != 1:
        raise SystemExit(f"{name} is defined in {len(found)} files; expected one")
    return found[0]


def build(sources: Path) -> Path:
    folder = sources / "build"
    subprocess.run(
        ["cmake", "-S", "benchmarks/kernels", "-B", folder, "-G", "Ninja", "--log-level=ERROR"],
        cwd=sources,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(
        ["cmake", "--build", folder, "--target", "bench_postprocess"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / "bench_postprocess"


def measure(program: Path, isa: str, rounds: int, row: str) -> dict[tuple[str, str], float]:
    """Milliseconds by row and instruction set."""
    output = subprocess.run(
        [program, str(rounds), row],
        env={**os.environ, "ETSEG_ISA": isa, "ETSEG_BENCH_PROCESSOR_TIME": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {(m["row"].strip(), m["isa"]): float(m["ms"]) for m in ROW.finditer(output)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="of the constant")
    parser.add_argument("values", nargs="+", help="C++ expressions")
    parser.add_argument("--row", default="", help="part of the rows' names")
    parser.add_argument("--isa", nargs="+", default=["avx2", "avx512"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, sources / name)
        file = defined_in(sources, options.name)
        text = file.read_text("utf-8")
        programs = {}
        for value in options.values:
            replaced = re.sub(rf"(\b{options.name} =) [^;]*;", rf"\1 {value};", text, count=1)
            file.write_text(replaced, "utf-8")
            program = build(sources)
            programs[value] = shutil.copy(program, sources / f"bench-{len(programs)}")
        best: dict[tuple[str, str], dict[str, float]] = {}
        for _ in range(options.turns):
            for isa in options.isa:
                for value, program in programs.items():
                    found = measure(Path(program), isa, options.rounds, options.row)
                    for key, ms in found.items():
                        times = best.setdefault(key, {})
                        times[value] = min(ms, times.get(value, ms))
    heads = "".join(f"{value:>24}" for value in options.values)
    print(f"{options.name:40}{'':8}{heads}")
    for (row, isa), times in best.items():
        print(f"{row:40}{isa:8}" + "".join(f"{times[value]:24.3f}" for value in options.values))


if __name__ == "__main__":
    main()
