"""Work for event loops: on other threads, cancellable."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from etseg._errors import InvalidStateError

from .threads import Call, Threads, for_calls

T = TypeVar("T")

#: Works of this process that tell how far they are, as loads do, and may run at the same time.
#: They are no module's: a load that stops slowly, or waits for a server, is not to hold up the
#: next one.
_LOADS = 32

# Not waited for at exit: our own native code sees to that itself, and a server may be silent long.
_loaders = for_calls(_LOADS, awaited=False)


async def run(work: Callable[[], T], threads: Threads[Call]) -> T:
    """What the work returns or raises.

    Raises:
        InvalidStateError: asyncio does not run here.
    """
    return await _Call(work).on(threads)


async def run_telling(
    work: Callable[[Callable[[float], None]], T], callback: Callable[[float], object] | None
) -> T:
    """What the work returns or raises; what it tells is passed on to a callback, by the loop.

    Args:
        work: called with a function that takes how far it is, and raises what it has to raise
            once nobody waits any more.
        callback: may be slower than the work: it is told where that is by then. What it raises
            ends the waiting.

    Raises:
        InvalidStateError: asyncio does not run here.
    """
    return await _TellingCall(work, callback).on(_loaders)


def run_behind(work: Callable[[], object]) -> None:
    """Has something done that raises nothing and nobody waits for."""
    _give(_loaders, _Unawaited(work))


def _give(threads: Threads[Call], call: Call) -> None:
    """To a thread; where none can be had, to this one, which is the loop's."""
    if not threads.give(call):
        threads.take_back(call)
        call.run()


class _Call(Generic[T]):
    """Work for another thread, and the future of a loop that waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = [work]  # taken out by the one who does it
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidStateError(
                "no event loop of asyncio runs in this thread; under another framework call the "
                "method without _async on a thread, as with trio.to_thread.run_sync()"
            ) from None
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._context = contextvars.copy_context()
        self._result: T | None = None
        self._error: BaseException | None = None
        self._stopped = False

    async def on(self, threads: Threads[Call]) -> T:
        """What the work returns or raises."""
        try:
            _give(threads, self)
            await self._done
            if self._error is not None:
                raise self._error
            return self._result  # type: ignore[return-value]  # is there where no error is
        finally:
            # However this ends: what has not begun never does, and neither the queue nor a
            # traceback keeps anything alive.
            self.stop()
            self._work.clear()
            self._result = self._error = None

    def run(self) -> None:
        """On the other thread."""
        try:
            work = self._work.pop()
        except IndexError:  # nobody waits any more, or another thread does it
            return
        result, error = None, None
        try:
            result = self._context.run(work)
        except BaseException as raised:
            error = raised
        del work
        self._tell(self._settle, result, error)
        # If nobody waits any more, a result is freed by this thread: it may be a model.
        del result, error

    def stop(self) -> None:
        """From any thread."""
        self._stopped = True

    def _settle(self, result: T | None, error: BaseException | None) -> None:
        if not self._done.done():  # it is, when it was cancelled
            self._result, self._error = result, error
            self._done.set_result(None)

    def _tell(self, method: Callable[..., object], *arguments: object) -> None:
        """Has the loop's thread call a method, unless nobody waits any more."""
        if self._stopped:
            return
        try:
            self._loop.call_soon_threadsafe(method, *arguments)
        except RuntimeError:  # the loop is closed
            self.stop()


class _StoppedError(Exception):
    """Raised into work that nobody waits for."""


class _TellingCall(_Call[T]):
    """Work that tells how far it is."""

    def __init__(
        self,
        work: Callable[[Callable[[float], None]], T],
        callback: Callable[[float], object] | None,
    ) -> None:
        super().__init__(partial(work, self._report))
        self._callback = callback
        self._latest: deque[float] = deque(maxlen=1)
        self._announced = False

    def _report(self, progress: float) -> None:
        """On the other thread."""
        if self._stopped:
            raise _StoppedError
        if self._callback is not None:
            self._latest.append(progress)
            if not self._announced:
                self._announced = True
                self._tell(self._pass_on, self._callback)

    def _pass_on(self, callback: Callable[[float], object]) -> None:
        self._announced = False
        if self._done.done() or not self._latest:
            return
        try:
            callback(self._latest.popleft())
        except BaseException as error:
            self.stop()
            self._settle(None, error)


class _Unawaited:
    """Work without anybody who waits."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def run(self) -> None:
        self._work()

    def stop(self) -> None:
        pass
