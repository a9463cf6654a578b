"""What the tests of the asynchronous calls share: the loops, and images that wait to be read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any

import pytest

from children import PATIENCE
from programs import Image, picture

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def _run_in_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    return uvloop.run(main)


#: Gives a test `run`: asyncio.run(), with each of the loops.
on_each_loop = pytest.mark.parametrize(
    "run",
    [
        pytest.param(asyncio.run, id="asyncio"),
        pytest.param(
            _run_in_uvloop,
            id="uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed"),
        ),
    ],
)


class Picture:
    """An image that is read in a forward's thread: says so, and waits until it may be."""

    def __init__(self, may_be_read: bool = True, read: Callable[[], object] = lambda: None) -> None:
        self.pixels = picture()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self._read = read
        if may_be_read:
            self.gate.set()

    def __array__(self, *_dtype: object, **_copy: object) -> Image:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        self._read()
        return self.pixels


async def until(happened: Callable[[], object]) -> None:
    """Lets the loop go on until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def wait_until(happened: Callable[[], object]) -> None:
    """The same without a loop, or holding it up."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def threads_of_etseg() -> list[threading.Thread]:
    """Those of the asynchronous calls."""
    return [thread for thread in threading.enumerate() if thread.name == "etseg"]
