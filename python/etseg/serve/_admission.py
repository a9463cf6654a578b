"""Who is segmented, who waits, and who is sent away."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

from ._problem import ProblemError

#: Is done when the client has left.
Left = Callable[[], Awaitable[object]]


class GoneError(Exception):
    """The client went away while it waited: nothing is computed, and nobody to be told."""


class Admission:
    """At most `running` at a time, at most `waiting` behind them, none longer than `deadline`.

    Of one event loop, like what it is made of.

    Attributes:
        running: how many run now.
    """

    def __init__(self, running: int, waiting: int, deadline: float) -> None:
        self.running = 0
        self._places = running
        self._most_waiting = waiting
        self._deadline = deadline
        # In the order they came. Each is told its turn by a result, or why it has none by an error.
        self._queue: deque[asyncio.Future[None]] = deque()
        self._seconds = 0.1  # that one takes: a moving mean

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._queue)

    def look(self) -> None:
        """Before a body is read for which there would be no time.

        Raises:
            ProblemError: 503, with Retry-After: as many wait as may.
        """
        if self.running >= self._places and self.waiting >= self._most_waiting:
            raise self._busy(f"{self.waiting} requests wait already; try again later")

    @asynccontextmanager
    async def turn(self, left: Left) -> AsyncIterator[None]:
        """Waits for a place, and holds it.

        Args:
            left: asked while it waits.

        Raises:
            ProblemError: 503, with Retry-After: there are too many, or the wait was too long.
            GoneError: the client left first.
        """
        self.look()
        if self.running < self._places:
            self.running += 1
        else:
            await self._place(left)
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            yield
        finally:
            self._seconds += 0.1 * (loop.time() - start - self._seconds)
            self._pass_on()

    async def _place(self, left: Left) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._queue.append(place)
        timer = loop.call_later(self._deadline, self._too_late, place)
        leaving = asyncio.ensure_future(left())
        leaving.add_done_callback(partial(self._gone, place))
        try:
            await place
        except BaseException:
            # Cancelled, when its turn had just come: that goes to the next.
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on()
            raise
        finally:
            timer.cancel()
            leaving.cancel()
            with suppress(ValueError):
                self._queue.remove(place)

    @staticmethod
    def _gone(place: asyncio.Future[None], leaving: asyncio.Future[object]) -> None:
        if not leaving.cancelled() and not place.done():
            place.set_exception(leaving.exception() or GoneError())

    def _too_late(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            detail = f"no turn within {self._deadline:g} s; try again later"
            place.set_exception(self._busy(detail))

    def _pass_on(self) -> None:
        """A place, to the one who has waited longest."""
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1

    def _busy(self, detail: str) -> ProblemError:
        seconds = self._seconds * (self.waiting + 1) / self._places
        return ProblemError(503, detail, Retry_After=str(max(1, math.ceil(seconds))))


class Room:
    """For the bodies of all requests together, from their first byte to the answer."""

    def __init__(self, size: int) -> None:
        self._free = size

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Of one request: a function that takes so many bytes more; all go back at the end.

        The function raises:
            ProblemError: 503: there is no room left.
        """
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if count > self._free:
                detail = "too many bodies are being received; try again later"
                raise ProblemError(503, detail, Retry_After="1")
            self._free -= count
            taken += count

        try:
            yield take
        finally:
            self._free += taken
