"""`etseg serve` as a process, for the tests that talk to it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from children import PATIENCE

#: How a process ends that SIGTERM ended: in peace, or as shells say it.
ENDED = (0, 128 + signal.SIGTERM, -signal.SIGTERM)


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
            return error.code, error.read()

    def connect(self) -> socket.socket:
        """A connection of bytes."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tells it to end, and how it did."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def served(*options: object, **environment: str) -> Iterator[Served]:
    """`etseg serve` with these options, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "etseg", "serve", "--port", "0", *map(str, options)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+)", line)
        assert found, (line, process.stderr and process.stderr.read())
        yield Served(process, int(found[1]))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
