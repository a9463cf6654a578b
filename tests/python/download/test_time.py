"""Time: every wait of a call is bounded, and hears whoever wants to cancel.

The clock is one that the tests turn. A server that drips is let on by it, byte for byte.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import etseg
from children import PATIENCE
from etseg import DownloadError, ErrorCode, Limits, resources
from etseg._download import watch
from etseg._download.http import announced_length, read_url
from http_server import Fault, Server
from raw_server import RawServer, raw_serving, saying

pytestmark = pytest.mark.usefixtures("cache")

HEAD = b"HTTP/1.1 200 OK\r\n"


class Clock:
    """Goes on by `step` seconds whenever somebody looks at it, and lets one more byte through."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.time = 1000.0
        self.looks = threading.Semaphore(0)
        self.stopped = False
        self.slept: list[float] = []

    def now(self) -> float:
        self.time += self.step
        self.looks.release()
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @contextmanager
    def dripping(self, start: bytes, row: bytes) -> Iterator[RawServer]:
        """A server that sends `start`, then `row` again and again, a byte at every look."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(start)
            for byte in itertools.cycle(row):
                if not self.looks.acquire(timeout=PATIENCE) or self.stopped:
                    return
                connection.sendall(bytes([byte]))

        with raw_serving(script) as server:
            try:
                yield server
            finally:
                self.stopped = True
                self.looks.release(1000)


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Clock]:
    """turn(step): a clock in place of the real one."""

    def make(step: float) -> Clock:
        clock = Clock(step)
        monkeypatch.setattr(watch, "now", clock.now)
        monkeypatch.setattr(watch, "sleep", clock.sleep)
        return clock

    return make


#: Where a server may drip: what it has sent before, and what it goes on with.
DRIPS = {
    "status line": (b"HTTP/1.1 2", b"0"),
    "header": (HEAD + b"X: ", b"y"),
    "headers": (HEAD, b"X: y\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "body of no length": (HEAD + b"\r\n", b"x"),
    "chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "chunk extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n", b"x"),
    "trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("where", DRIPS)
def test_the_total_bounds_what_drips(where: str, turn: Callable[[float], Clock]) -> None:
    clock = turn(0.5)
    limits = Limits(read_timeout=1e9, connect_timeout=1e9, total_timeout=30)
    with clock.dripping(*DRIPS[where]) as server:
        begun = clock.time
        with pytest.raises(DownloadError, match="not here after 30 s, the total_timeout of Limits"):
            read_url(server.url, limits)
        assert clock.time - begun < 35


@pytest.mark.parametrize("where", DRIPS)
def test_a_drip_is_a_stall(where: str, turn: Callable[[float], Clock]) -> None:
    """Without a total, as for models."""
    clock = turn(0.5)
    limits = Limits(read_timeout=20)
    with clock.dripping(*DRIPS[where]) as server:
        with pytest.raises(DownloadError, match=r"timed out: .* in 2\d\.\d s; gave up after 5"):
            resources.fetch(server.url, limits=limits)
        assert len(server.requests) == 5


@pytest.mark.parametrize("where", DRIPS)
def test_a_callback_cancels_what_drips(where: str, turn: Callable[[float], Clock]) -> None:
    clock = turn(0.5)
    calls = itertools.count()

    def cancel(_: float) -> None:
        if next(calls) == 3:
            raise InterruptedError("enough")

    with clock.dripping(*DRIPS[where]) as server:
        with pytest.raises(InterruptedError, match="enough") as caught:
            resources.fetch(server.url, cancel)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert len(server.requests) == 1


def test_a_silent_server_hears_the_callback() -> None:
    """In real time: nothing ever comes, and nothing lets it."""
    silent = threading.Event()
    calls = itertools.count()

    def cancel(_: float) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt

    with raw_serving(lambda *_: silent.wait(PATIENCE) and None) as server:
        with pytest.raises(KeyboardInterrupt):
            resources.fetch(server.url, cancel)
        silent.set()


def test_a_tunnel_that_drips(
    turn: Callable[[float], Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = turn(0.5)
    with clock.dripping(b"HTTP/1.1 200 O", b"K") as server:
        monkeypatch.setenv("https_proxy", server.url)
        with pytest.raises(DownloadError, match=r"timed out: no connection in 1\d\.\d s"):
            announced_length("https://models.invalid/model.pte", Limits(total_timeout=1e6))


def test_a_handshake_that_never_ends(turn: Callable[[float], Clock]) -> None:
    turn(0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # nobody accepts, and nobody answers
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(DownloadError, match=r"timed out: no connection in \d\.\d s; gave up"):
            read_url(url, Limits(connect_timeout=1, total_timeout=1e6))
        with pytest.raises(DownloadError, match="not here after 2 s"):
            read_url(url, Limits(total_timeout=2))


def test_names_are_waited_for_no_longer(
    turn: Callable[[float], Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(0.5)
    answered = threading.Event()
    asked: list[str] = []

    def resolver(host: str, *_: object) -> list[object]:
        asked.append(host)
        answered.wait(PATIENCE)
        return []

    monkeypatch.setattr("etseg._download.sockets.socket.getaddrinfo", resolver)
    with pytest.raises(DownloadError, match="not here after 3 s"):
        read_url("http://models.invalid/", Limits(total_timeout=3))
    answered.set()
    assert asked == ["models.invalid"]


def test_what_goes_on_is_no_stall(server: Server, turn: Callable[[float], Clock]) -> None:
    """The time that its receiver takes does not count either."""
    clock = turn(0.0)
    body = bytes(3_000_000)

    def slow(_: float) -> None:
        clock.time += 1000

    url = server.add("/model.pte", body)
    with pytest.raises(etseg.InvalidModelError, match="is no ExecuTorch program"):
        resources.fetch(url, slow)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
    ],
    ids=["100 Continue", "trailers"],
)
def test_what_never_comes_to_the_point(head: bytes, row: bytes) -> None:
    """At full speed, which no clock notices."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:  # until the client has gone
            connection.sendall(row * 100)

    with raw_serving(script) as server, pytest.raises(DownloadError) as caught:
        read_url(server.url)
    # Newer Pythons count some of these themselves, and call it no HTTP.
    assert any(word in str(caught.value) for word in ("no content", "no HTTP"))


@pytest.mark.parametrize("drips", [b"x", b""], ids=["drips", "is silent"])
def test_a_refusal_does_not_wait_for_its_page(drips: bytes, turn: Callable[[float], Clock]) -> None:
    clock = turn(0.2)
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 60000\r\n\r\n"
    begun = clock.time
    with clock.dripping(head, drips) as server:
        with pytest.raises(DownloadError, match="answered 404: there is nothing there"):
            read_url(server.url)
        assert len(server.requests) == 1
        assert clock.time - begun < 10


# Being asked to wait.


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["86400", "9" * 5000, "Wed, 01 Jan 2200 00:00:00 GMT"])
def test_a_long_pause_is_not_waited_for(
    server: Server, turn: Callable[[float], Clock], status: int, asked: str
) -> None:
    clock = turn(0.0)
    fault = Fault(status=status, headers={"Retry-After": asked})
    url = server.add("/model.pte", b"", always=fault)
    for ask in (read_url, resources.fetch):
        with pytest.raises(
            DownloadError, match=rf"{status} .* asks for a pause of .* read_timeout"
        ):
            ask(url)
    assert clock.slept == []
    assert len(server.requests) == 2


def test_a_pause_counts_for_the_total(server: Server, turn: Callable[[float], Clock]) -> None:
    clock = turn(0.0)
    url = server.add("/image", b"", always=Fault(status=503, headers={"Retry-After": "20"}))
    with pytest.raises(DownloadError, match=r"503 .* no time for another .* \(50 s\)") as caught:
        read_url(url, Limits(total_timeout=50))
    assert caught.value.code == ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED
    assert sum(clock.slept) == pytest.approx(40)
    assert len(server.requests) == 3


def test_a_pause_hears_the_callback(server: Server, turn: Callable[[float], Clock]) -> None:
    clock = turn(0.0)
    url = server.add("/model.pte", b"", always=Fault(status=503, headers={"Retry-After": "20"}))

    def cancel(_: float) -> None:
        if sum(clock.slept) > 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        resources.fetch(url, cancel)
    assert sum(clock.slept) < 6


@pytest.mark.parametrize("seconds", [1e10, 1e300, 10**30])
def test_very_long_limits(server: Server, seconds: float) -> None:
    """Longer than a socket's own time-out may be."""
    limits = Limits(connect_timeout=seconds, read_timeout=seconds, total_timeout=seconds)
    assert read_url(server.add("/image", b"all of it"), limits) == b"all of it"


def test_nothing_else_is_cut_short() -> None:
    with raw_serving(saying(HEAD + b"Content-Length: 3\r\n\r\nabc")) as server:
        assert read_url(server.url) == b"abc"
