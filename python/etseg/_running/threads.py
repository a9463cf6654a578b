"""The threads of streams and of event loops: there while there is work, and not much longer.

Why not ThreadPoolExecutor: from the end of the main thread on it refuses work, although other
threads go on; it has all that waits done before the interpreter may exit, however long that takes;
a forked child that inherits one waits for threads that it does not have; and whoever is interrupted
in it may leave one of its locks held.

Interrupts come to the main thread, between any two lines. It gives work and waits for it, so what
it does here takes no lock, and changes things by single calls of C, each of which may be repeated:
an item that is given twice, or a thread too many, does no harm. The threads themselves are never
interrupted.
"""

from __future__ import annotations

import os
import threading
import weakref
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from .bell import Bell

T = TypeVar("T")

#: How long a thread of for_calls() stays for more without work, in seconds. So an unused module
#: has no threads, and nobody has to end them.
_LINGER = 1.0


class Threads(Generic[T]):
    """Runs items on threads, begun in the order they were given.

    Args:
        run: called with each item; raises nothing. An item may come twice, after an interrupt.
        most: the number of threads.
        name: of each.
        linger: how long a thread stays for more, in seconds.
        stop: asks an item that runs at exit to end early.
        awaited: whether the interpreter waits for those that run, see :func:`finish`.

    Attributes:
        name: as given.
        closed: nothing is begun any more. May be set without :meth:`close`.
        bell: rung when an item is done, and when a thread leaves.
    """

    def __init__(
        self,
        run: Callable[[T], object],
        most: int,
        *,
        name: str,
        linger: float = 0.0,
        stop: Callable[[T], object] | None = None,
        awaited: bool = True,
    ) -> None:
        self._run = run
        self._most = most
        self.name = name
        self._linger = linger
        self._stop = stop
        self._awaited = awaited
        self.closed = False
        self.begin()
        _all.add(weakref.ref(self, _all.discard))

    def begin(self) -> None:
        """As if nothing had been given; for a forked child, too, whose threads are not there."""
        self.bell = Bell()
        self._waiting: deque[T] = deque()
        self._running: dict[int, T] = {}
        # Threads take them and bring them back: not who starts one, and may be interrupted then.
        self._places: list[None] = [None] * self._most
        self._idle: list[None] = []
        self._wake: SimpleQueue[None] = SimpleQueue()

    def give(self, item: T) -> bool:
        """Something to do. Returns at once: whether a thread comes to it, see :meth:`call`."""
        self._waiting.append(item)
        return self.call()

    def call(self) -> bool:
        """Has a thread come for what waits; may be repeated.

        Returns:
            False where none can be had: after close(), at exit, or because there are too many.
        """
        if self.closed or _is_over:
            return False
        waiting, idle = len(self._waiting), len(self._idle)
        if idle:
            self._wake.put(None)
        if waiting > idle and self._places:
            try:
                start_new_thread(self._start, ())
            except RuntimeError:
                return len(self._places) < self._most  # those that are there come to it
        return True

    def take_back(self, item: T) -> None:
        """From now on no thread begins it."""
        with suppress(ValueError):
            self._waiting.remove(item)

    def close(self) -> None:
        """Drops what has not begun, and waits for the threads; except for the caller's."""
        self.closed = True
        self.bell.ring()  # if an interrupt comes before, a thread does it when it leaves
        self._waiting.clear()
        others = self._most - (threading.get_ident() in self._running)
        self.bell.wait_until(lambda: len(self._places) >= others)

    def end(self, deadline: float) -> None:
        """At exit: begins nothing more, and gives what runs until the deadline (monotonic)."""
        self.closed = True
        self.bell.ring()
        self._waiting.clear()
        if self._stop is not None:
            for item in list(self._running.values()):
                self._stop(item)
        if self._awaited:
            self.bell.wait_until(lambda: not self.is_busy(), deadline)

    def is_busy(self) -> bool:
        """Whether a thread is at work, or is to come to what waits."""
        waits = bool(self._waiting) and not self.closed
        return waits or len(self._places) + len(self._idle) < self._most

    def _start(self) -> None:
        """On a thread that ends at once: Thread.start() waits under a lock, in Python code."""
        if not self._take_place():
            return
        thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # as at exit, from Python 3.12 on
            self._work()

    def _take_place(self) -> bool:
        """For a thread. Not if nothing waits, or enough are at it."""
        if self.closed or not self._waiting:
            return False
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def _work(self) -> None:
        """With a place taken."""
        while True:
            while self._do_next() or self._is_there_more():
                pass
            # Whoever gives something from now on sees the place; what came before is seen here.
            self._places.append(None)
            self.bell.ring()
            if not self._take_place():
                return

    def _do_next(self) -> bool:
        if self.closed:
            return False
        try:
            item = self._waiting.popleft()
        except IndexError:
            return False
        me = threading.get_ident()
        self._running[me] = item
        self._run(item)
        del self._running[me], item  # it holds an image; not while there is nothing to do
        self.bell.ring()
        return True

    def _is_there_more(self) -> bool:
        """Waits for it as long as may be."""
        if not self._linger or self.closed:
            return False
        self._idle.append(None)  # from now on one is woken
        with suppress(Empty):
            if not self._waiting:
                self._wake.get(timeout=self._linger)
        self._idle.pop()
        return bool(self._waiting)


class Call(Protocol):
    """What :func:`for_calls` runs."""

    def run(self) -> None:
        """Does it. Raises nothing: what went wrong is the caller's, not the thread's."""

    def stop(self) -> None:
        """Asks one that runs to end early."""


def for_calls(most: int, *, awaited: bool = True) -> Threads[Call]:
    """Threads that stay for the next call for a while."""
    return Threads(
        lambda call: call.run(),
        most,
        name="etseg",
        linger=_LINGER,
        stop=lambda call: call.stop(),
        awaited=awaited,
    )


# Not a WeakSet: this is looked through while other threads add to it.
_all: set[weakref.ref[Threads[Any]]] = set()
_is_over = False


def finish(deadline: float) -> None:
    """At interpreter exit: drops what waits, and gives what runs until `deadline` (monotonic).

    A daemon thread that is in another library's native code when the interpreter goes away can
    take the process down.
    """
    global _is_over
    _is_over = True
    for each in list(_all):
        if (threads := each()) is not None:
            threads.end(deadline)


def _forget() -> None:
    for each in list(_all):
        if (threads := each()) is not None:
            threads.begin()


os.register_at_fork(after_in_child=_forget)
