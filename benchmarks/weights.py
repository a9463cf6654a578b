"""Packed weights in a file against packed weights in memory: times, memory, targets met or not.

    python benchmarks/weights.py [--exporter PYTHON] [--resnet50 PROGRAM.pte]

The program of deeplabv3_resnet50 is made once, by a Python that has torch, torchvision and
executorch (--exporter), and kept in the folder of --build. Each measurement is a process of its
own; the sides of a ratio take turns, and the figure is the ratio of their medians. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import etseg
from etseg import resources
from harness.machine import machine_line
from harness.options import parser
from harness.rounds import wait_until_quiet

MODES = ("memory", "file")
SELFIE = Path(etseg.__file__).parent / "_bundled" / "selfie_segmentation_xnnpack_fp32.pte"


# What a process of its own does: each prints one line of JSON.


def _module(path: str, mode: Any, concurrency: int = 1) -> etseg.ImageSegmentationModule:
    module = etseg.ImageSegmentationModule(packed_weights=mode, concurrency=concurrency)
    module.load(path)
    return module


def _noise(module: etseg.ImageSegmentationModule) -> Any:
    size = (*module.input_size, 3)
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)


def _pss() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise KeyError("Pss")


def _load(path: str, mode: str, times: str) -> dict[str, Any]:
    """Milliseconds of loads, the first of the process among them; the runtime is started."""
    _module(str(SELFIE), "memory").delete()
    loads = []
    for _ in range(int(times)):
        start = time.perf_counter()
        module = _module(path, mode)
        loads.append((time.perf_counter() - start) * 1e3)
        module.delete()
    return {"loads": loads}


def _cold(path: str, mode: str) -> dict[str, Any]:
    """Milliseconds of a process's very first load."""
    start = time.perf_counter()
    _module(path, mode)
    return {"loads": [(time.perf_counter() - start) * 1e3]}


def _memory(path: str, mode: str, concurrency: str) -> dict[str, Any]:
    """PSS above that of a process that has the runtime started; told again when it is asked."""
    count = int(concurrency)
    _module(str(SELFIE), "memory", count).delete()
    before = _pss()
    module = _module(path, mode, count)
    _at_once(module, count)
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()  # until the others are there
    told = {"above": _pss() - before}
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
    return told


def _at_once(module: etseg.ImageSegmentationModule, count: int) -> float:
    """Seconds of a forward on each of so many threads."""
    image = _noise(module)
    barrier = threading.Barrier(count + 1)

    def work() -> None:
        barrier.wait()
        module.forward(image)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def _scaling(path: str, mode: str, rounds: str) -> dict[str, Any]:
    """Seconds of one forward alone, and of two at the same time."""
    module = _module(path, mode, 2)
    _at_once(module, 2)
    alone, together = [], []
    for _ in range(int(rounds)):
        wait_until_quiet()
        alone.append(_at_once(module, 1))
        together.append(_at_once(module, 2))
    return {"alone": float(np.median(alone)), "together": float(np.median(together))}


def _results(path: str, mode: str, concurrency: str) -> dict[str, Any]:
    import hashlib

    module = _module(path, mode, int(concurrency))
    result = module.forward(_noise(module), [x for x in module.labels if x.name != "ARGMAX"])
    maps = b"".join(result[label].tobytes() for label in result)
    return {"digest": hashlib.sha256(maps).hexdigest()}


_WORK: dict[str, Callable[..., dict[str, Any]]] = {
    work.__name__: work for work in (_load, _cold, _memory, _scaling, _results)
}


# The table.


def _command(work: Callable[..., object], *arguments: object) -> list[str]:
    return [sys.executable, __file__, "--work", work.__name__, *map(str, arguments)]


def _run(work: Callable[..., object], *arguments: object) -> dict[str, Any]:
    wait_until_quiet()
    done = subprocess.run(_command(work, *arguments), check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _forget() -> None:
    resources.delete_packed_weights()
    for record in (resources.cache_directory() / "weights" / "programs").glob("*.json"):
        record.unlink()


def _median(values: list[float]) -> float:
    return float(np.median(values))


def loads(path: Path, rounds: int) -> list[tuple[str, float, str, str, bool]]:
    """Rows about the time of loads."""
    times: dict[str, list[float]] = {}

    def add(name: str, answer: dict[str, Any]) -> None:
        times.setdefault(name, []).extend(answer["loads"])

    for _ in range(rounds):
        _forget()
        add("made", _run(_load, path, "file", 1))
        for mode in MODES:
            first, *again = _run(_load, path, mode, 4)["loads"]
            times.setdefault(f"{mode} new", []).append(first)
            times.setdefault(f"{mode} same", []).extend(again)
            add(f"{mode} cold", _run(_cold, path, mode))
    ms = {name: _median(values) for name, values in times.items()}
    rows = []
    for where in ("same", "new"):
        plain, mapped = ms[f"memory {where}"], ms[f"file {where}"]
        what = f"load again, {where} process"
        rows.append((f"{what}, ms", mapped, "<= 20", f"plain {plain:.1f} ms", mapped <= 20))
        ratio = plain / mapped
        rows.append((f"{what}, plain / file", ratio, ">= 15", "", ratio >= 15))
    cold = f"plain {ms['memory cold']:.1f} ms; the runtime's own start is in both"
    rows.append(("a process's very first load, ms", ms["file cold"], "", cold, True))
    ratio = ms["made"] / ms["memory new"]
    detail = f"{ms['made']:.0f} ms, plain {ms['memory new']:.0f} ms"
    rows.append(("first load, packing and writing / plain", ratio, "<= 1.5", detail, ratio <= 1.5))
    return rows


def commands(path: Path, rounds: int) -> list[tuple[str, float, str, str, bool]]:
    """A row about `etseg segment`, from its start to its end; the file is there already."""
    times: dict[str, list[float]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as folder:
        image, mask = Path(folder, "noise.png"), Path(folder, "mask.png")
        image.write_bytes(cv2.imencode(".png", np.full((480, 640, 3), 128, np.uint8))[1].tobytes())
        command = [sys.executable, "-m", "etseg", "segment", image, "-o", mask, "--model", path]
        for mode in MODES * (rounds + 1):
            wait_until_quiet()
            environment = {**os.environ, "ETSEG_PACKED_WEIGHTS": mode}
            start = time.perf_counter()
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            times[mode].append((time.perf_counter() - start) * 1e3)
    plain, mapped = (_median(times[mode][1:]) for mode in MODES)  # the first makes the file
    return [("`etseg segment`, ms", mapped, "", f"plain {plain:.0f} ms", True)]


def _together(path: Path, mode: str, processes: int, concurrency: int) -> float:
    """PSS of all, in MB, while all have the program loaded and have run it."""
    command = _command(_memory, path, mode, concurrency)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, text=True, **pipes) for _ in range(processes)]  # type: ignore[call-overload]
    total = 0.0
    for child in running:
        child.stdout.readline()
    for child in running:
        child.stdin.write("\n")
        child.stdin.flush()
        total += json.loads(child.stdout.readline())["above"] / 1e6
    for child in running:
        child.communicate("\n")
    return total


def memory(path: Path) -> list[tuple[str, float, str, str, bool]]:
    """Rows about memory."""
    rows = []
    for what, processes, concurrency, most in (
        ("4 instances", 1, 4, 1.8),
        ("4 processes", 4, 1, 2.0),
    ):
        mb = {mode: _together(path, mode, processes, concurrency) for mode in MODES}
        one = _together(path, "file", 1, 1)
        ratio = mb["file"] / one
        detail = f"{mb['file']:.0f} MB, one {one:.0f} MB; in memory {mb['memory']:.0f} MB"
        rows.append((f"{what}, PSS of all / one", ratio, f"<= {most}", detail, ratio <= most))
    return rows


def scaling(path: Path, rounds: int) -> list[tuple[str, float, str, str, bool]]:
    """Rows about two forwards at the same time."""
    rows = []
    for mode in MODES:
        seconds = _run(_scaling, path, mode, rounds)
        figure = 2 * seconds["alone"] / seconds["together"]
        detail = f"{seconds['alone'] * 1e3:.0f} ms alone, two {seconds['together'] * 1e3:.0f} ms"
        rows.append(
            (f"two threads on two instances, {mode}", figure, ">= 1.85", detail, figure >= 1.85)
        )
    return rows


def results(paths: list[Path]) -> list[tuple[str, float, str, str, bool]]:
    """Rows about what is returned."""
    rows = []
    for path in paths:
        digests = {
            _run(_results, path, mode, count)["digest"] for mode in MODES for count in (1, 2, 4)
        }
        same = len(digests) == 1
        what = f"results of {path.stem}, different ones"
        rows.append((what, len(digests), "<= 1", "1, 2, 4 instances, both modes", same))
    return rows


def resnet50(options: Namespace) -> Path:
    """The program, made if need be."""
    path: Path = options.resnet50 or options.build / "deeplabv3_resnet50_224.pte"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name("export_resnet50.py")
        subprocess.run([options.exporter, str(script), str(path)], check=True)
    return path


def main() -> None:
    """Measures all, prints the table."""
    made = parser("Packed weights in a file, measured.")
    made.add_argument("--resnet50", type=Path, help="a program of it that is there already")
    made.add_argument("--exporter", default=sys.executable, help="Python with torch and executorch")
    made.add_argument("--rounds", type=int, default=5)
    options = made.parse_args()
    path = resnet50(options)
    deeplab = options.shared / "models" / "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte"
    print(machine_line())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ETSEG_CACHE"] = folder
        rows = [
            *loads(path, options.rounds),
            *commands(path, options.rounds),
            *memory(path),
            *scaling(path, options.rounds),
            *results([one for one in (path, deeplab, SELFIE) if one.exists()]),
        ]
    print("\n| what | measured | target | | |\n|---|---|---|---|---|")
    for what, figure, target, detail, met in rows:
        verdict = ("met" if met else "NOT MET") if target else ""
        print(f"| {what} | {figure:.3g} | {target} | {verdict} | {detail} |")
    sys.exit(not all(met for *_, met in rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(_WORK[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
