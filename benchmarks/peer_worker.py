"""A peer in a process of its own: takes requests from the pipe that harness/process.py holds.

python benchmarks/peer_worker.py NAME READ_FD WRITE_FD
"""

from __future__ import annotations

import gc
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time_ns
from typing import Any

import numpy as np

from harness import memory, peers


class Worker:
    """Holds the peer and the image between requests."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._peer: Any = None
        self._image: Any = None

    def load(self, model: Any, threads: int) -> None:
        """Loads the model, in place of the one before."""
        self._peer = None
        gc.collect()
        self._peer = peers.make(self._name, model, threads)

    def image(self, path: str, is_file: bool) -> None:
        """Takes the image: an .npy array, or a file to be decoded in every forward."""
        self._image = Path(path).read_bytes() if is_file else np.load(path)

    def run(self, classes: list[int], resize: bool) -> dict[str, Any]:
        """One forward: nanoseconds by stage and in all, and the process's CPU clock around it."""
        start = process_time_ns()
        run = self._peer.forward(self._image, classes, resize)
        clock = {"cpu_start": start, "cpu_end": process_time_ns()}
        return {**run.stages, "total": run.total, **clock}

    def sample(self, classes: list[int], resize: bool) -> tuple[Any, dict[int, Any]]:
        """Some of the pixels of a forward's maps, to compare peers by."""
        run = self._peer.forward(self._image, classes, resize)
        rows, columns = run.argmax.shape
        step = max(1, round((rows * columns / 100_000) ** 0.5))
        pick = (slice(step // 2, None, step), slice(step // 2, None, step))
        shown = {index: run.planes[index][pick].copy() for index in classes[:3]}
        return run.argmax[pick].copy(), shown

    def memory(self, classes: list[int], resize: bool) -> dict[str, int]:
        """One forward: the peak of resident memory, above what was there and is returned."""
        image = self._image
        self._image = np.ascontiguousarray(image[:64, :64])
        self.run(classes, resize)  # what a first call loads and keeps is not counted
        self._image = image
        gc.collect()
        memory.reset_peak()
        before = memory.resident()
        run = self._peer.forward(image, classes, resize)
        peak = memory.peak()
        returned = run.returned_bytes
        return {
            "peak": peak,
            "before": before,
            "returned": returned,
            "above": peak - before - returned,
        }


def main() -> None:
    """Serves until the pipe is closed."""
    name, read_fd, write_fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests, answers = Connection(read_fd, writable=False), Connection(write_fd, readable=False)
    # Libraries print: not into the driver's terminal.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    if not os.environ.get("ETSEG_BENCHMARK_VERBOSE"):
        os.dup2(quiet, 2)
    worker = Worker(name)
    while True:
        try:
            method, arguments = requests.recv()
        except EOFError:
            return
        try:
            answers.send((True, getattr(worker, method)(*arguments)))
        except Exception as error:  # the driver's to judge
            answers.send((False, f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
