"""HTTP/1.1 as uvicorn speaks it with httptools, with an end to waiting, and bounds to heads."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: In which the head of a request has to arrive, in seconds.
HEAD_SECONDS = float(os.environ.get("_ETSEG_SERVE_HEAD_SECONDS", "10"))  # less in tests
#: In which a client has to take a part of an answer, in seconds, and how much that is.
READ_SECONDS = float(os.environ.get("_ETSEG_SERVE_READ_SECONDS", "10"))
_LEAST = 1 << 16
#: In which a client has to take all that it is sent before it has taken the last of it, in seconds.
ANSWER_SECONDS = 300.0
#: Bytes of a head, or of what else is no body: trailers, a line without an end.
MOST_HEAD = 1 << 16
#: Bytes of a body that are received before the application takes them.
_MOST_UNREAD = 1 << 19
#: Requests that may be sent before the first is answered.
_MOST_AHEAD = 16


class _TooMuchError(Exception):
    """A head is too long, or there are too many; the parser makes a bad request of it."""


class Protocol(HttpToolsProtocol):
    """Closes a connection whose request does not come, or whose answer is not taken.

    uvicorn waits for ever for both, and httptools has no bounds of its own for heads.
    """

    _head: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _left = 0  # bytes of answers, when they were last looked at
    _end: float | None = None  # of the time for those
    _served: RequestResponseCycle | None = None  # of several that were sent ahead, the one at work
    _fields = 0  # bytes of a head's fields so far
    _dull = 0  # bytes that were nothing's end, and of no body

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        self._dull += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._dull > MOST_HEAD:
            self.send_400_response("Too long a head.")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._forget_the_head()
        elif self._head is None:
            # The first bytes of another request, or what is left of a body that was refused.
            self._expect_a_head()

    def on_message_begin(self) -> None:
        self._dull = self._fields = 0
        if len(self.pipeline) >= _MOST_AHEAD:
            raise _TooMuchError
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._measure(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._dull = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """As uvicorn does, with fewer stops: it pauses at 64 KiB, and copies each part twice."""
        self._dull = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body  # type: ignore[assignment]  # whose bytes() it is itself
        else:
            if isinstance(cycle.body, bytes):
                cycle.body = bytearray(cycle.body)
            cycle.body += body
        if len(cycle.body) > _MOST_UNREAD:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_response_complete(self) -> None:
        # First: it may go on with the next request, which came in one piece with this one.
        self._expect_it_to_be_taken()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_the_head()
        self._forget_the_answer()
        self._tell_it_is_over()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        self._tell_it_is_over()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _tell_it_is_over(self) -> None:
        """To the request at work: uvicorn tells the one that was sent last."""
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever offers another protocol is served in this; nobody is to install anything."""

    def _measure(self, count: int) -> None:
        self._fields += count
        if self._fields > MOST_HEAD:
            raise _TooMuchError

    def _expect_a_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _expect_it_to_be_taken(self) -> None:
        self._forget_the_answer()
        self._left = self.transport.get_write_buffer_size()
        if not self._left:
            self._end = None
            return
        if self._end is None:
            self._end = self.loop.time() + ANSWER_SECONDS
        self._taking = self.loop.call_later(READ_SECONDS, self._look_what_is_left)

    def _look_what_is_left(self) -> None:
        self._taking = None
        left = self.transport.get_write_buffer_size()
        late = self._end is not None and self.loop.time() > self._end
        if left and (late or left > max(0, self._left - _LEAST)):
            self.transport.abort()  # to close it would be to wait for the rest to be taken
        else:
            self._expect_it_to_be_taken()

    def _forget_the_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _forget_the_answer(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
