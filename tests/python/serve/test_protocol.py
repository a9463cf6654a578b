"""How long a client that does not take its answer is waited for: a clock of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')

import uvicorn
from uvicorn.server import ServerState

from etseg.serve._protocol import Protocol


class Transport(asyncio.Transport):
    """A connection whose client takes what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.ended = ""

    def write(self, data: Any) -> None:
        self.left += len(data)

    def get_write_buffer_size(self) -> int:
        return self.left

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Loop:
    """call_later, and what is due when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.create_task = loop.create_task
        self.timers: list[tuple[asyncio.Handle, Callable[[], object]]] = []
        self._loop = loop

    def call_later(self, _seconds: float, call: Callable[[], object]) -> asyncio.Handle:
        handle = asyncio.Handle(call, (), self._loop)
        self.timers.append((handle, call))
        return handle

    def ring(self, name: str) -> None:
        """What was set up under this name, if it was not cancelled, once."""
        for entry in list(self.timers):
            handle, call = entry
            if call.__name__ == name:  # type: ignore[attr-defined]
                self.timers.remove(entry)
                if not handle.cancelled():
                    call()


async def answered(size: int) -> tuple[Protocol, Transport, Loop]:
    """A connection on which a request was answered with so many bytes."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size)})

    loop, transport = Loop(asyncio.get_running_loop()), Transport()
    config = uvicorn.Config(app, http=Protocol, ws="none", log_level="error")
    protocol = Protocol(config, ServerState(), {}, loop)  # type: ignore[arg-type]
    protocol.connection_made(transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.gather(*protocol.tasks)
    assert transport.left > size
    return protocol, transport, loop


@pytest.mark.parametrize(("taken", "ended"), [(0, "aborted"), (1000, "aborted"), (1 << 16, "")])
def test_an_answer_that_is_not_taken(taken: int, ended: str) -> None:
    """A trickle does not count."""

    async def work() -> None:
        _, transport, loop = await answered(1 << 20)
        transport.left -= taken
        loop.ring("_look_what_is_left")
        assert transport.ended == ended

    asyncio.run(work())


def test_the_end_of_an_answer_may_be_small() -> None:
    async def work() -> None:
        _, transport, loop = await answered(1 << 20)
        transport.left = 1000
        loop.ring("_look_what_is_left")
        assert transport.ended == ""
        transport.left = 0
        loop.ring("_look_what_is_left")
        loop.ring("_look_what_is_left")
        assert transport.ended == ""

    asyncio.run(work())


def test_one_that_is_closed_is_looked_after_until_it_has_gone() -> None:
    """A connection that is closed waits for its answer to be taken: for ever, if nobody looks."""

    async def work() -> None:
        protocol, transport, loop = await answered(1 << 20)
        loop.ring("timeout_keep_alive_handler")
        assert transport.ended == "closed"
        loop.ring("_look_what_is_left")
        assert transport.ended == "aborted"
        protocol.connection_lost(None)
        assert all(handle.cancelled() for handle, _ in loop.timers)

    asyncio.run(work())
