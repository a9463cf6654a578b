"""Waiting until something is so, without a lock that an interrupt could leave held."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

#: Seconds. A signal that comes after Python last looked, and before the thread sleeps, wakes
#: nobody: it is noticed that much later, and not only when there is something else to wake for.
_LONGEST_SLEEP = 0.5


class Bell:
    """Wakes the threads that wait; each then looks whether what it waits for is so.

    What threading.Condition does, by calls of C alone: KeyboardInterrupt may be raised between any
    two lines here, and the next wait or ring works all the same. The worst that remains is a
    thread that is woken for nothing.
    """

    def __init__(self) -> None:
        self._sleepers: set[SimpleQueue[None]] = set()

    def ring(self) -> None:
        """After every change that somebody may wait for."""
        for sleeper in list(self._sleepers):
            if sleeper.empty():  # one token is enough: whoever takes it looks at all there is
                sleeper.put(None)

    def wait_until(self, so: Callable[[], object], deadline: float | None = None) -> None:
        """Returns once `so()` is true, or at the deadline (monotonic)."""
        # One for each wait, not each thread: a handler of a signal may wait within a wait.
        sleeper: SimpleQueue[None] = SimpleQueue()
        self._sleepers.add(sleeper)
        try:
            while not so():
                left = _LONGEST_SLEEP if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return
                try:
                    sleeper.get(timeout=min(left, _LONGEST_SLEEP))
                except Empty:
                    continue
        finally:
            self._sleepers.discard(sleeper)
