"""How long a call over the network may still wait, and for what.

Everything that waits (sockets, names, pauses) asks the watch of its call first, waits for a slice
of time at most, and asks again. So all limits hold everywhere, and whoever wants to cancel is heard
several times a second, without a thread that watches.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from etseg._errors import DownloadError, ErrorCode
from etseg._limits import Limits
from etseg._messages import shown

from .errors import PassingError

#: No wait is longer than this, in seconds, without asking whether it is still wanted.
SLICE = 0.25
#: A body that brings less than this for a whole read timeout has stalled, in bytes per second.
SLOWEST = 1024
#: So many bytes in a row that hold no content (heads, trailers, empty blocks) are no answer.
MOST_WITHOUT_CONTENT = 1 << 20

#: What is not wanted is waited for no longer, in seconds.
_WORTH_WAITING = 1.0

now = time.monotonic
sleep = time.sleep

T = TypeVar("T")


class StopCall(BaseException):
    """Brings an error through libraries that would take it for one of the network's."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class Watch:
    """The limits of one call: of one URL, with its redirects, attempts and pauses.

    Args:
        url: for messages.
        limits: its time-outs count.
        total: seconds for all of it; None where it may take as long as it advances.
        tick: called several times a second while the call waits. What it raises ends the call.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        total: float | None,
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._url = url
        self._limits = limits
        self._total = total
        self._tick = tick
        self._ends = None if total is None else now() + total
        self._ticked = now()
        self.query = ""  # of the URL that is being asked for: a secret, put in at the last moment
        self._begin("connection")

    @property
    def read_timeout(self) -> float:
        """Seconds, of the limits."""
        return self._limits.read_timeout

    def over_in(self, seconds: float) -> float | None:
        """The total, if it will be over after so many seconds; else None."""
        over = self._ends is not None and now() + seconds >= self._ends
        return self._total if over else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """What waits in this block, waits under this watch."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    # What is waited for.

    def connecting(self) -> None:
        """A connection, from here on."""
        self._begin("connection")

    def asking(self) -> None:
        """The head of an answer, from here on."""
        self._begin("answer")

    def reading(self) -> None:
        """The body of an answer, from here on."""
        self._begin("body")

    def draining(self) -> None:
        """What is left of an answer that is not wanted, from here on: hardly any time for that."""
        self._begin("rest")

    def delivered(self) -> None:
        """Content came."""
        self._without_content = 0

    # Waiting.

    def waiting(self, operation: Callable[[float], T]) -> T:
        """`operation(seconds)`, again and again while it raises a TimeoutError.

        Raises:
            StopCall: the time is up, or `tick` wants it.
            whatever else `operation` raises.
        """
        while True:
            start = now()
            try:
                return operation(self._slice(start))
            except TimeoutError as error:
                if error.errno is not None:  # the system's, and not the slice's end
                    raise
            finally:
                self._waited += now() - start
            self._ask()

    def received(self, count: int) -> None:
        """So many bytes came from the socket. Raises StopCall where they lead nowhere."""
        self._received += count
        self._without_content += count
        if self._without_content > MOST_WITHOUT_CONTENT:
            raise StopCall(
                DownloadError(
                    f"{shown(self._url)} sends and sends, and no content: over "
                    f"{MOST_WITHOUT_CONTENT} bytes of heads, trailers or empty blocks"
                )
            )
        self._ask()

    def pause(self, seconds: float) -> None:
        """Waits. Raises whatever `tick` raises."""
        while seconds > 0:
            step = min(seconds, SLICE)
            sleep(step)
            seconds -= step
            self._ticked = now()
            self._tick()

    def _begin(self, phase: str) -> None:
        self._phase = phase
        self._waited = 0.0
        self._received = 0
        self._without_content = 0

    def _slice(self, start: float) -> float:
        """How long to wait at once."""
        if self._ends is not None and start >= self._ends:
            raise StopCall(self._total_is_over())
        left = self._left()
        if self._ends is not None:
            left = min(left, self._ends - start)
        return min(max(left, 0.001), SLICE)

    def _left(self) -> float:
        """Seconds that what is waited for may take yet; of a body, until it is measured again."""
        if self._phase == "rest":
            if self._waited >= _WORTH_WAITING:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            return _WORTH_WAITING - self._waited
        if self._phase == "connection":
            limit, code = self._limits.connect_timeout, ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
            why = "no connection"
        else:
            limit, code = self._limits.read_timeout, ErrorCode.DOWNLOAD_INTERRUPTED
            why = "no complete head of an answer" if self._phase == "answer" else "stalled"
        if self._waited < limit:
            return limit - self._waited
        if self._phase == "body":
            if self._received >= SLOWEST * self._waited:
                self._waited, self._received = 0.0, 0
                return limit
            why = f"stalled: {self._received} bytes"
        elif self._phase == "answer":
            code = ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
        raise StopCall(
            PassingError(f"{shown(self._url)} timed out: {why} in {self._waited:.1f} s", code)
        )

    def _ask(self) -> None:
        if now() - self._ticked < SLICE:
            return
        self._ticked = now()
        try:
            self._tick()
        except BaseException as error:
            raise StopCall(error) from None

    def _total_is_over(self) -> DownloadError:
        return DownloadError(
            f"{shown(self._url)} is not here after {self._total:g} s, the total_timeout of Limits",
            ErrorCode.DOWNLOAD_INTERRUPTED,
        )


_current: ContextVar[Watch | None] = ContextVar("_current", default=None)


def current() -> Watch | None:
    """The watch of the call that runs here."""
    return _current.get()
