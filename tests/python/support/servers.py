"""`etseg serve` as a process, for the tests that talk to it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from children import PATIENCE, started

#: How a process ends that SIGTERM ended: in peace, or as shells say it.
ENDED = (0, 128 + signal.SIGTERM, -signal.SIGTERM)


#: Seconds, of a server that all tests of a file share: on a busy machine they take their time.
AS_LONG_AS_IT_TAKES = 3600.0


class Uses(NamedTuple):
    """What a process has: threads, open files, MB of memory."""

    threads: int
    files: int
    resident: float


class Served:
    """A server that listens."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def post(self, data: bytes, query: str = "") -> tuple[int, bytes]:
        """The status and body that a posted image is answered with."""
        url = f"http://127.0.0.1:{self.port}/v1/segment{query}"
        request = urllib.request.Request(url, data, {"Content-Type": "image/jpeg"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> bytes:
        """The body that a path is answered with."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as got:
            body: bytes = got.read()
            return body

    def connect(self, patience: float = PATIENCE) -> socket.socket:
        """A connection of bytes."""
        return socket.create_connection(("127.0.0.1", self.port), patience)

    def uses(self) -> Uses:
        """What it has now."""
        place = Path(f"/proc/{self.process.pid}")
        status = dict(
            line.split(":", 1)
            for line in (place / "status").read_text().splitlines()
            if ":" in line
        )
        files = len(list((place / "fd").iterdir()))
        return Uses(int(status["Threads"]), files, int(status["VmRSS"].split()[0]) / 1e3)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tells it to end, and how it did."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def served(
    *options: object, log: Path | None = None, patience: float = PATIENCE, **environment: str
) -> Iterator[Served]:
    """`etseg serve` with these options, ready.

    Args:
        options: of the command.
        log: where what it says on stderr is written; None for a pipe, which holds only so much.
        patience: it is ended if it takes longer, in seconds.
        environment: what differs from ours.
    """
    command = [sys.executable, "-m", "etseg", "serve", "--port", "0", *options]
    if log is not None:
        command = ["sh", "-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", log, *command]
    variables: dict[str, str | None] = {**environment}
    with started(*command, cwd=None, patience=patience, **variables) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+)", line)
        if found is None:
            process.kill()
            pytest.fail(f"it says {line!r}, and {process.communicate()[1] or log}")
        yield Served(process, int(found[1]))
