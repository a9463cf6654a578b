"""Images for streams: some that wait until they are told, some that count."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import etseg
from children import PATIENCE
from programs import picture


def crew() -> list[threading.Thread]:
    """The threads of all streams."""
    return [thread for thread in threading.enumerate() if thread.name == "etseg.map"]


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
