"""Lines of the log: who writes them, and what becomes of them where nobody reads."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from children import PATIENCE
from servers import ENDED, served

pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')
pytest.importorskip("httptools")

from etseg.serve import _logs
from etseg.serve._logs import Lines

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """One that nobody reads yet: what is read, and what is written."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def fill(pipe: str) -> None:
    """Until not a byte more has room."""
    end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(end, b".")
    finally:
        os.close(end)


def logger_of(lines: Lines) -> logging.Logger:
    logger = logging.Logger("test")
    logger.addHandler(lines)
    return logger


def test_each_line_is_written(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_logs, "_LAST", PATIENCE)
    lines = Lines(pipe[1])
    logger = logger_of(lines)
    for number in range(1000):
        logger.info("%d", number)
    lines.close()
    assert os.read(pipe[0], 1 << 16).split() == [b"%d" % number for number in range(1000)]


def test_what_nobody_reads_is_dropped_and_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever logs goes on, and so does the end."""
    writes, reads = threading.Event(), threading.Event()

    def write(file: int, data: bytes) -> int:
        writes.set()
        assert reads.wait(PATIENCE)
        return os.write(file, data)

    monkeypatch.setattr(_logs, "_LAST", 0.001)
    monkeypatch.setattr(_logs, "os", type("os", (), {"write": staticmethod(write)}))
    lines = Lines(pipe[1], most=2)
    dropped: list[int] = []
    lines.on_drop = lambda: dropped.append(1)
    logger = logger_of(lines)
    logger.info("first")
    assert writes.wait(PATIENCE)
    for text in ("second", "third", "fourth", "fifth"):
        logger.info(text)
    assert len(dropped) == 2
    lines.close()
    reads.set()
    lines._thread.join(PATIENCE)
    assert os.read(pipe[0], 1 << 16).split() == [b"first", b"second", b"third"]


@pytest.mark.parametrize("how", ["nobody reads", "no format"])
def test_what_cannot_be_written_ends_nothing(pipe: tuple[int, int], how: str) -> None:
    lines = Lines(-1 if how == "nobody reads" else pipe[1])
    dropped: list[int] = []
    lines.on_drop = lambda: dropped.append(1)
    logger = logger_of(lines)
    logger.info("%d of these is no number", "one")
    while not dropped:
        assert lines._thread.is_alive()
    lines.close()
    assert not lines._thread.is_alive()


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes of a size are Linux's")
def test_a_service_whose_log_nobody_reads(photo_path: Path) -> None:
    """Its pipe holds some 50 lines; each request leaves one."""
    with served() as server:
        assert server.process.stderr is not None
        fcntl.fcntl(server.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(100):
            assert server.post(b"")[0] == 400
        assert server.post(photo_path.read_bytes())[0] == 200
        assert b"etseg_log_lines_dropped_total 0.0" in server.get("/metrics")
        fill(f"/proc/{server.process.pid}/fd/2")  # its last word would have no room either
        assert server.end() in ENDED
