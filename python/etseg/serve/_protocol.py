"""HTTP/1.1 as uvicorn speaks it, with an end to waiting for clients."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: In which the head of a request has to arrive, in seconds.
HEAD_SECONDS = float(os.environ.get("_ETSEG_SERVE_HEAD_SECONDS", "10"))  # less in tests
#: In which a client has to take a part of an answer, in seconds, and how much that is.
READ_SECONDS = float(os.environ.get("_ETSEG_SERVE_READ_SECONDS", "10"))
_LEAST = 1 << 16


class Protocol(H11Protocol):
    """Closes a connection whose request does not come, or whose answer is not taken.

    uvicorn waits for ever for both.
    """

    _head: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _left = 0  # bytes of an answer, when they were last looked at

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_the_head()
        elif self._head is None and not self.transport.is_closing():
            # The first bytes of another request, or what is left of a body that was refused.
            self._expect_a_head()

    def on_response_complete(self) -> None:
        # First: it may go on with the next request, which came in one piece with this one.
        self._expect_it_to_be_taken()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_the_head()
        self._forget_the_answer()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _expect_it_to_be_taken(self) -> None:
        self._forget_the_answer()
        self._left = self.transport.get_write_buffer_size()
        if self._left:
            self._taking = self.loop.call_later(READ_SECONDS, self._look_what_is_left)

    def _look_what_is_left(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > max(0, self._left - _LEAST):
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
