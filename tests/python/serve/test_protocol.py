"""Answers that are not taken, heads that do not end: by a clock of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')
pytest.importorskip("httptools")

import uvicorn
from uvicorn.server import ServerState

from etseg.serve._protocol import ANSWER_SECONDS, MOST_HEAD, Protocol


class Transport(asyncio.Transport):
    """A connection whose client takes what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.ended = ""
        self.written = b""

    def write(self, data: Any) -> None:
        self.left += len(data)
        self.written += data

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
        self.now = 0.0
        self.timers: list[tuple[asyncio.Handle, Callable[[], object]]] = []
        self._loop = loop

    def call_later(self, _seconds: float, call: Callable[[], object]) -> asyncio.Handle:
        handle = asyncio.Handle(call, (), self._loop)
        self.timers.append((handle, call))
        return handle

    def time(self) -> float:
        return self.now

    def ring(self, name: str) -> None:
        """What was set up under this name, if it was not cancelled, once."""
        for entry in list(self.timers):
            handle, call = entry
            if call.__name__ == name:  # type: ignore[attr-defined]
                self.timers.remove(entry)
                if not handle.cancelled():
                    call()


def connected(app: Any) -> tuple[Protocol, Transport, Loop]:
    """A connection to an application."""
    loop, transport = Loop(asyncio.get_running_loop()), Transport()
    config = uvicorn.Config(app, http=Protocol, ws="none", log_config=None, log_level="error")
    protocol = Protocol(config, ServerState(), {}, loop)  # type: ignore[arg-type]
    protocol.connection_made(transport)
    return protocol, transport, loop


async def answered(size: int) -> tuple[Protocol, Transport, Loop]:
    """A connection on which a request was answered with so many bytes."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size)})

    protocol, transport, loop = connected(app)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.gather(*protocol.tasks)
    assert transport.left > size
    return protocol, transport, loop


async def whole(_scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body."""
    count, more = 0, True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-length", b"6")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"%06d" % count})


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


def test_one_that_takes_its_answer_slowly_is_not_waited_for_without_end() -> None:
    """Enough each time, for longer than is allowed for all."""

    async def work() -> None:
        protocol, transport, loop = await answered(1 << 22)
        while loop.now <= ANSWER_SECONDS:
            assert transport.ended == ""
            loop.now += ANSWER_SECONDS / 20
            transport.left -= 1 << 16
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")  # is no way out
            await asyncio.gather(*protocol.tasks)
            transport.left -= 1 << 22
            loop.ring("_look_what_is_left")
        assert transport.ended == "aborted"

    asyncio.run(work())


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
ONE = HEAD + b"Content-Length: 1\r\n\r\nx"


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"X: y\r\n" * (MOST_HEAD // 4)],
        [HEAD] + [b"X: y\r\n" * 100] * (MOST_HEAD // 100),
        [b"GET /" + bytes(MOST_HEAD).replace(b"\0", b"a")],
        [HEAD + b"X: "] + [b"y" * 1000] * (MOST_HEAD // 1000 + 2),
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"] + [b"X: y\r\n" * 100] * 200,
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: "] + [b"y" * 1000] * 100,
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"] + [b"y" * 1000] * 100,
        [ONE * 100],
    ],
    ids=[
        "lines at once", "lines", "URL", "a line", "trailers", "a trailer", "extension",
        "pipelined",
    ],
)  # fmt: skip
def test_what_is_no_body_has_bounds(parts: list[bytes]) -> None:
    async def work() -> None:
        protocol, transport, _ = connected(whole)
        for part in parts:
            protocol.data_received(part)
            if transport.ended:
                break
        for task in protocol.tasks:
            task.cancel()
        assert transport.ended == "closed"
        assert transport.written.startswith(b"HTTP/1.1 400 ")

    asyncio.run(work())


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"X: " + bytes(MOST_HEAD - 200).replace(b"\0", b"y") + b"\r\n", ONE[len(HEAD) :]],
        [ONE] * 50,
        [HEAD + b"Content-Length: 100000\r\n\r\n", *[bytes(1000)] * 100, ONE[:20], ONE[20:]],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 99, b"0\r\n\r\n"],
        [HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + ONE[len(HEAD) :], ONE],
    ],
    ids=["a long line", "one after the other", "a large body", "small chunks", "an upgrade"],
)
def test_what_is_within_bounds_is_answered(parts: list[bytes]) -> None:
    """As often as it was asked for."""

    async def work() -> None:
        protocol, transport, _ = connected(whole)
        for part in parts:
            protocol.data_received(part)
            await asyncio.sleep(0)
            while protocol.tasks and not protocol.cycle.more_body:
                await asyncio.sleep(0)
        assert transport.ended == ""
        asked_for = b"".join(parts).count(b"POST")
        assert transport.written.count(b"HTTP/1.1 200 OK") == asked_for

    asyncio.run(work())


@pytest.mark.parametrize("how", ["left", "bad request"])
def test_the_request_at_work_learns_that_its_client_has_gone(how: str) -> None:
    """Also where others were sent behind it: it writes nothing any more."""

    async def work() -> None:
        protocol, transport, _ = connected(whole)
        protocol.data_received(HEAD + b"Content-Length: 1\r\n\r\n")
        protocol.data_received(b"x" + ONE + (b"" if how == "left" else b"nonsense\r\n\r\n"))
        if how == "left":
            protocol.connection_lost(None)
        await asyncio.gather(*protocol.tasks)
        assert b"200 OK" not in transport.written

    asyncio.run(work())


def test_a_body_is_what_was_sent_however_it_comes() -> None:
    """Parts that are taken one by one, several at a time, and more than are kept for one taking."""

    async def work() -> None:
        taken: list[bytes] = []
        go_on = asyncio.Event()

        async def app(_scope: Any, receive: Any, _send: Any) -> None:
            more = True
            while more:
                await go_on.wait()
                message = await receive()
                taken.append(message["body"])
                more = message["more_body"]

        protocol, transport, _ = connected(app)
        parts = [bytes([number]) * (1 << 17) for number in range(12)]
        protocol.data_received(HEAD + b"Content-Length: %d\r\n\r\n" % sum(map(len, parts)))
        for number, part in enumerate(parts):
            protocol.data_received(part)
            assert protocol.flow.read_paused is (number in (6, 7))
            if number in (0, 1, 7):
                go_on.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                go_on.clear()
        go_on.set()
        await asyncio.gather(*protocol.tasks)
        assert b"".join(taken) == b"".join(parts)
        assert all(type(part) is bytes for part in taken)
        assert transport.ended == "closed"  # as nothing was answered

    asyncio.run(work())
