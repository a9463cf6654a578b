"""`etseg serve` as a process, and what loads do to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
CORES = len(os.sched_getaffinity(0))
Rows = npt.NDArray[np.float64]


@dataclass
class Load:
    """What came of a load."""

    rows: Rows  # due, ms, status
    generator: float  # CPU seconds of what made it
    server: float  # CPU seconds of the service
    seconds: float

    def of(self, *statuses: int) -> Rows:
        """Milliseconds of the answers with these statuses."""
        return np.asarray(self.rows[np.isin(self.rows[:, 2], statuses), 1])

    @property
    def rate(self) -> float:
        """Images segmented a second, in the middle of the load."""
        ends = self.rows[:, 0] + self.rows[:, 1] / 1e3
        first = ends.min() + 0.1 * self.seconds
        last = ends.min() + 0.9 * self.seconds
        counted = (self.rows[:, 2] == 200) & (ends >= first) & (ends < last)
        return float(counted.sum() / (last - first))

    @property
    def share_left(self) -> float:
        """Of the cores' time, by what made the load."""
        return 1 - self.generator / (CORES * self.seconds)


class Service:
    """`etseg serve` as a process."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(log.read_text())
        self._log = log

    def cpu(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s*(\d+)", status)
        return int(found[1]) / 1e3 if found else 0.0

    def log_position(self) -> int:
        """How much it has said so far."""
        return self._log.stat().st_size

    def said_milliseconds(self, status: int, since: int) -> Rows:
        """What its access log says of the answers with a status, from a position on."""
        with self._log.open(encoding="utf-8") as file:
            file.seek(since)
            found = re.findall(rf" {status} ([\d.]+) ms", file.read())
        return np.array(found, np.float64)

    def answers(self) -> bool:
        """Whether it is there."""
        with urllib.request.urlopen(f"{self.url}healthz", timeout=10) as answer:
            return answer.status == 200 and self.process.poll() is None


@contextmanager
def service(model: str, log: Path, deadline: float) -> Iterator[Service]:
    """Serves while it lasts, and ends in peace."""
    command = [sys.executable, "-m", "etseg", "serve", "--port", "0", "--model", model]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--deadline", str(deadline)],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        try:
            yield Service(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def loaded(served: Service, photos: Path, users: int, seconds: float, rate: float = 0.0) -> Load:
    """A load, and what came of it."""
    wanted = {"url": served.url.rstrip("/"), "photos": str(photos), "users": users}
    wanted |= {"rate": rate, "seconds": seconds}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answers.npz"
        before = served.cpu()
        subprocess.run(
            [sys.executable, HERE / "load.py", json.dumps(wanted), out],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with np.load(out) as answers:
            return Load(
                answers["rows"],
                generator=float(answers["cpu"]),
                server=served.cpu() - before,
                seconds=float(answers["wall"]),
            )


@contextmanager
def watched(served: Service) -> Iterator[list[float]]:
    """Its resident memory in MB, twice a second."""
    seen: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            seen.append(served.resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
