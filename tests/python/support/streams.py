"""Images for streams: some that wait until they are told, some that count."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import etseg
from children import PATIENCE
from etseg._running.threads import _all
from programs import picture


def crew() -> int:
    """How many threads of streams are at work."""
    streams = [threads for ref in _all if (threads := ref()) is not None]
    return sum(threads.is_busy() for threads in streams if threads.name == "etseg.map")


def wait_for_the_crew() -> None:
    """Until no thread of a stream is left, nor at work."""
    deadline = time.monotonic() + PATIENCE
    while crew() or any(thread.name == "etseg.map" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def numbered(number: int) -> Any:
    """An image that tells its number: of that many rows."""
    return picture(number + 1, 40)


def number_of(result: etseg.SegmentationResult) -> int:
    """Of an image segmented with resize=True."""
    return result.size[0] - 1


class Gate:
    """An image that is not there before `open` is set."""

    def __init__(self, number: int = 0, error: BaseException | None = None) -> None:
        self.number = number
        self.error = error
        self.begun = threading.Event()
        self.open = threading.Event()

    def __array__(self, *_: object, **__: object) -> Any:
        self.begun.set()
        assert self.open.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return numbered(self.number)


class Counting:
    """An iterator over images 0, 1, 2, ... that knows how many were taken, and was it closed."""

    def __init__(self, count: int | None = None) -> None:
        self.taken = 0
        self.count = count
        self.closed = 0

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        if self.taken == self.count:
            raise StopIteration
        self.taken += 1
        return numbered((self.taken - 1) % 50)

    def close(self) -> None:
        self.closed += 1
