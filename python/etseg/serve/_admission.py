"""Who is worked for, who waits, and who is sent away."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Any, Generic, TypeVar

from ._problem import ProblemError

T = TypeVar("T")
#: Is done when the client has left.
Left = Callable[[], Awaitable[object]]
#: For which a place is kept for one whose body has not arrived, in seconds.
_KEPT = 1.0


class GoneError(Exception):
    """The client went away while it waited: nothing is computed, and nobody to be told."""


class Admission:
    """Threads that work in the order of coming, at most `waiting` behind them, for `deadline` each.

    Whoever has done its work takes the next by itself: no core is idle until the event loop, whose
    this is otherwise, has had its turn.

    Args:
        threads: how many work at a time.
        waiting: how many may wait.
        deadline: seconds that one may wait.
        name: of the threads.
        nice: how much less urgent they are than the event loop, where a thread has a niceness of
            its own: on Linux.
        count: told how many are worked for and how many wait, when that changes.
    """

    def __init__(
        self,
        threads: int,
        waiting: int,
        deadline: float,
        name: str,
        nice: int = 0,
        count: Callable[[int, int], object] = lambda *_: None,
    ) -> None:
        self.threads = threads
        self._most_waiting = waiting
        self._deadline = deadline
        self._executor = ThreadPoolExecutor(threads, name, partial(_yield_to_others, nice))
        self._count = count
        self._inside = 0  # with those whose bodies are still to come
        self._jobs = 0
        self._seconds = 0.1  # that one takes: a moving mean

    @property
    def running(self) -> int:
        """How many are worked for now."""
        return min(self._jobs, self.threads)

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""
        return self._jobs - self.running

    @property
    def refusal(self) -> ProblemError | None:
        """503, with Retry-After, where as many wait as may."""
        if self._inside < self.threads + self._most_waiting:
            return None
        return self._busy(f"{self._most_waiting} requests wait already; try again later")

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place, from the head of a request to its answer.

        So that who is let in by its head is not sent away after its body. One that is not used
        within a second, by a client that sends slowly, is lost to others.

        Raises:
            ProblemError: 503, with Retry-After: there is none.
        """
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def close(self) -> None:
        """Waits for those that are worked for; nobody comes any more."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def enter(self) -> None:
        """One more, or none: see :meth:`place`."""
        if (refusal := self.refusal) is not None:
            raise refusal
        self._inside += 1

    def leave(self) -> None:
        """One less."""
        self._inside -= 1

    async def work(self, call: Callable[[], T], left: Left) -> T:
        """For one that is inside: see :meth:`Place.work`."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        job = _Job(call, outcome)
        self._change(+1)
        waits = self._jobs > self.threads
        job.future = self._executor.submit(job)
        timer = loop.call_later(self._deadline, self._too_late, job)
        leaving = asyncio.ensure_future(left()) if waits else None
        if leaving is not None:
            leaving.add_done_callback(job.has_left)
        try:
            return await outcome
        finally:
            # It may be this task that is cancelled: what has begun is finished, for nobody.
            job.withdraw()
            del outcome  # its error has a traceback with this frame, and the image
            self._change(-1)
            timer.cancel()
            if leaving is not None:
                leaving.cancel()
            if job.seconds:
                self._seconds += 0.1 * (job.seconds - self._seconds)

    def _change(self, jobs: int) -> None:
        self._jobs += jobs
        self._count(self.running, self.waiting)

    def _too_late(self, job: _Job[Any]) -> None:
        job.withdraw(self._busy(f"no turn within {self._deadline:g} s; try again later"))

    def _busy(self, detail: str) -> ProblemError:
        seconds = math.ceil(self._seconds * (self._inside + 1) / self.threads)
        return ProblemError(503, detail, Retry_After=str(max(1, seconds)))


def _yield_to_others(nice: int) -> None:
    """Of the process, by this thread."""
    if nice and sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox that allows none of this
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + nice)


class Place:
    """Of one request, in an :class:`Admission`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._is_there = False
        self._enter()
        self._lapse = asyncio.get_running_loop().call_later(_KEPT, self.leave)

    async def work(self, call: Callable[[], T], left: Left) -> T:
        """Waits for a thread, and for what it makes of `call`.

        Args:
            call: the work; not begun for one that has left or waited too long.
            left: asked while it waits.

        Raises:
            ProblemError: 503, with Retry-After: the wait was too long, or the place was lost
                and there is no other.
            GoneError: the client left first.
        """
        self._lapse.cancel()
        if not self._is_there:
            self._enter()
        return await self._admission.work(call, left)

    def leave(self) -> None:
        """For somebody else."""
        self._lapse.cancel()
        if self._is_there:
            self._is_there = False
            self._admission.leave()

    def _enter(self) -> None:
        self._admission.enter()
        self._is_there = True


class _Job(Generic[T]):
    """Work that waits for a thread, or is done on one."""

    future: Future[None]

    def __init__(self, call: Callable[[], T], outcome: asyncio.Future[T]) -> None:
        self.seconds = 0.0  # that it took, once it is done
        self._call: Callable[[], T] | None = call
        self._outcome: asyncio.Future[T] | None = outcome

    def __call__(self) -> None:
        """On the thread."""
        call, outcome = self._call, self._outcome
        assert call is not None  # or it would not be called
        assert outcome is not None
        start = perf_counter()
        tell: Callable[[Any], None]
        try:
            tell, value = outcome.set_result, call()
        except BaseException as error:
            tell, value = outcome.set_exception, error  # type: ignore[assignment]
        self.seconds = perf_counter() - start
        with suppress(RuntimeError):  # the loop was closed: nobody waits
            outcome.get_loop().call_soon_threadsafe(_unless_done, outcome, tell, value)

    def withdraw(self, error: BaseException | None = None) -> None:
        """Unless a thread has begun; `error` is raised where it is waited for."""
        if not self.future.cancel():
            return
        # The executor keeps it until a thread passes it over: without the image, which an error
        # holds too, by its traceback.
        self._call = None
        outcome, self._outcome = self._outcome, None
        if error is not None and outcome is not None and not outcome.done():
            outcome.set_exception(error)

    def has_left(self, leaving: asyncio.Future[object]) -> None:
        """The client, or whoever asks after it has failed."""
        if not leaving.cancelled():
            self.withdraw(leaving.exception() or GoneError())


def _unless_done(outcome: asyncio.Future[Any], tell: Callable[[Any], None], value: object) -> None:
    """Nobody waits any more where the request was cancelled."""
    if not outcome.done():
        tell(value)


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
