"""Who is segmented, who waits, and who is sent away."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ._problem import ProblemError


class GoneError(Exception):
    """The client went away while it waited: nothing is computed, and nobody to be told."""


class Admission:
    """At most `running` at a time, at most `waiting` behind them, none longer than `deadline`.

    Of one event loop, like what it is made of.

    Attributes:
        waiting: how many wait now.
        running: how many run now.
    """

    def __init__(self, running: int, waiting: int, deadline: float) -> None:
        self.waiting = 0
        self.running = 0
        self._places = running
        self._most_waiting = waiting
        self._deadline = deadline
        self._free = asyncio.Semaphore(running)
        self._seconds = 0.1  # that one takes: a moving mean

    @asynccontextmanager
    async def turn(self, gone: asyncio.Event) -> AsyncIterator[None]:
        """Waits for a place, and holds it.

        Args:
            gone: set when the client has left.

        Raises:
            ProblemError: 503, with Retry-After: there are too many, or the wait was too long.
            GoneError: the client left first.
        """
        if self._free.locked() and self.waiting >= self._most_waiting:
            raise self._busy(f"{self.waiting} requests wait already; try again later")
        self.waiting += 1
        try:
            await self._place(gone)
        finally:
            self.waiting -= 1
        self.running += 1
        start = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            took = asyncio.get_running_loop().time() - start
            self._seconds += 0.1 * (took - self._seconds)
            self.running -= 1
            self._free.release()

    async def _place(self, gone: asyncio.Event) -> None:
        place = asyncio.ensure_future(self._free.acquire())
        left = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait(
                {place, left}, timeout=self._deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if left.done():
                raise GoneError
            if not place.done():
                raise self._busy(f"no turn within {self._deadline:g} s; try again later")
        except BaseException:
            # Also when this request is cancelled: a place that came at the same time goes back.
            if not place.cancel() and not place.cancelled():
                self._free.release()
            raise
        finally:
            left.cancel()

    def _busy(self, detail: str) -> ProblemError:
        seconds = self._seconds * (self.waiting + 1) / self._places
        return ProblemError(503, detail, Retry_After=str(max(1, math.ceil(seconds))))
