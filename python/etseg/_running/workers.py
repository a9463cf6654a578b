"""Threads for calls whose caller does not wait on a thread of its own.

Why not ThreadPoolExecutor: from the end of the main thread on it refuses work, although other
threads' event loops go on; it has all that waits done before the interpreter may exit, however long
that takes; and a forked child that inherits one waits for threads that it does not have.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import Protocol

from etseg._errors import ModuleNotLoadedError

#: How long a thread without work stays for more, in seconds. So an unused module has no threads,
#: and nobody has to end them.
_LINGER = 1.0


class Call(Protocol):
    """What is run on a thread."""

    def run(self) -> None:
        """Does it. Raises nothing: what went wrong is the caller's, not the thread's."""

    def stop(self) -> None:
        """Asks a call that runs to end early, and one that has not begun not to begin."""


class Workers:
    """Runs calls, first come, first served, on threads that are started as they are needed.

    Args:
        at_exit: whether the interpreter waits for those that run, see :func:`finish`.
    """

    def __init__(self, *, at_exit: bool = True) -> None:
        self._at_exit = at_exit
        self._begin()
        _all.add(self)

    def submit(self, call: Call, most: int) -> None:
        """Has `call` run, by one of at most `most` threads.

        Raises:
            ModuleNotLoadedError: the interpreter exits, and the models are gone.
        """
        if _exiting_thread == threading.get_ident():
            raise ModuleNotLoadedError("the interpreter is shutting down")
        if _exiting_thread is not None:
            return  # of a daemon thread: an error would make it print what nobody asked for
        with self._changed:
            self._waiting.append(call)
            if self._idle >= len(self._waiting):
                self._changed.notify()
                return
            if self._threads >= most:
                return
            self._threads += 1
        thread = threading.Thread(target=self._work, name="etseg", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # Python 3.12 starts none any more once the main thread has ended; or there are too
            # many. Those that are there come to it; if there are none, its own thread has to.
            with self._changed:
                self._threads -= 1
                if self._threads > 0 or call not in self._waiting:
                    return
                self._waiting.remove(call)
            call.run()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            with self._changed:
                self._running.discard(call)
            del call  # it holds an image; not while there is nothing to do

    def _next(self) -> Call | None:
        with self._changed:
            while not self._waiting:
                self._idle += 1
                woken = self._changed.wait(_LINGER)
                self._idle -= 1
                if not woken and not self._waiting:
                    self._threads -= 1
                    return None
            call = self._waiting.popleft()
            self._running.add(call)
            return call

    def _begin(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Call] = deque()
        self._running: set[Call] = set()
        self._threads = 0
        self._idle = 0

    def _stop(self) -> None:
        with self._changed:
            self._waiting.clear()
            for call in self._running:
                call.stop()

    def _is_busy(self) -> bool:
        return self._at_exit and bool(self._running)


_all: weakref.WeakSet[Workers] = weakref.WeakSet()
_exiting_thread: int | None = None


def finish(deadline: float) -> None:
    """At interpreter exit: drops what waits, and gives what runs until `deadline` (monotonic).

    A daemon thread that is in another library's native code when the interpreter goes away can
    take the process down.
    """
    global _exiting_thread
    _exiting_thread = threading.get_ident()
    everybody = list(_all)
    for workers in everybody:
        workers._stop()
    while any(workers._is_busy() for workers in everybody) and time.monotonic() < deadline:
        time.sleep(0.002)


def _forget() -> None:
    """In a forked child: the threads are not here, and the locks may be theirs."""
    for workers in list(_all):
        workers._begin()


os.register_at_fork(after_in_child=_forget)
