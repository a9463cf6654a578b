"""`etseg serve` as a process, and loads on it: h2load's, of nghttp2 (Debian: nghttp2-client).

h2load is one thread of C, and writes down of each request when it was sent, how long its answer
took and its status. It runs before all others (nice -10, where that is allowed), as it would on a
machine of its own: what it finds is the time that the service takes, not its own wait for a core.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CORES = len(os.sched_getaffinity(0))
Rows = npt.NDArray[np.float64]


@dataclass
class Load:
    """What came of a load."""

    rows: Rows  # when it was sent in seconds, ms, status: -1 for none
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
    def offered(self) -> float:
        """Requests sent a second."""
        return float((len(self.rows) - 1) / np.ptp(self.rows[:, 0]))

    @property
    def share_taken(self) -> float:
        """Of the cores' time, by what made the load."""
        return self.generator / (CORES * self.seconds)


class Service:
    """`etseg serve` as a process."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(log.read_text())

    def cpu(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s*(\d+)", status)
        return int(found[1]) / 1e3 if found else 0.0

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


def loaded(served: Service, photo: Path, clients: int, seconds: float, rate: float = 0.0) -> Load:
    """A load of so many connections, and what came of it.

    With a rate they together post so many images a second, evenly spaced: each at its own even
    pace, begun one after the other, whether others have been answered or not. With rate 0 each
    posts again as soon as it is answered.
    """
    how = ["-D", f"{seconds:.0f}"]
    if rate:
        number, period = _rhythm(rate)
        each = max(1, round(rate * seconds / clients))
        how = ["-n", str(each * clients), "-r", str(number), f"--rate-period={period}ms"]
        how += [f"--rps={rate / clients:.6f}"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        before, cpu, start = served.cpu(), _of_children(), time.perf_counter()
        subprocess.run(
            ["nice", "-n", "-10", "h2load", "--h1", "-c", str(clients), *how, "-d", str(photo),
             "-H", "Content-Type: image/jpeg", f"--log-file={log}", f"{served.url}v1/segment"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        took = time.perf_counter() - start
        sent, status, microseconds = np.loadtxt(log, np.float64, ndmin=2).T
        return Load(
            np.column_stack([sent / 1e6, microseconds / 1e3, status]),
            generator=_of_children() - cpu,
            server=served.cpu() - before,
            seconds=took,
        )


def _rhythm(rate: float) -> tuple[int, int]:
    """So many connections each so many milliseconds: h2load begins them by whole ones."""
    periods = range(1, max(8, round(1e3 / rate)) + 1)
    found = [(max(1, round(rate * period / 1e3)), period) for period in periods]
    return min(found, key=lambda pair: abs(pair[0] / pair[1] * 1e3 - rate))


def _of_children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
