"""Connections: kept, shared, not inherited; and proxies."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import etseg
from children import PATIENCE
from downloading import load, only_model
from etseg import DownloadError, ImageSegmentationModule, resources
from etseg._download.connections import close_all
from etseg._download.http import read_url
from http_server import Fault, Server
from raw_server import RawServer, raw_serving
from tls import Authority, serving_tls

pytestmark = pytest.mark.usefixtures("cache")


def test_one_connection_for_many_requests(server: Server, program: bytes) -> None:
    urls = [server.add(f"/{number}", b"x" * number) for number in range(20)]
    for number, url in enumerate(urls):
        assert read_url(url) == b"x" * number
    load(server.add("/model.pte", program))
    assert resources.get_files_total_size(urls[7]) == 7
    assert server.connections == 1


def test_redirects_and_refusals_keep_it(server: Server) -> None:
    server.add("/there", b"all of it")
    url = server.add("/here", b"", always=Fault(status=302, headers={"Location": "/there"}))
    assert read_url(url) == b"all of it"
    with pytest.raises(DownloadError, match="answered 404"):
        read_url(server.url("/nowhere"))
    assert read_url(url) == b"all of it"
    assert server.connections == 1


def test_what_is_not_read_to_its_end_is_not_kept(server: Server) -> None:
    url = server.add("/large", bytes(5_000_000))
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of Limits"):
        read_url(url, etseg.Limits(max_download_bytes=1000))
    small = server.add("/small", b"all of it")
    assert read_url(small) == b"all of it"
    assert server.connections == 2


def test_a_connection_that_was_closed_meanwhile() -> None:
    """By the server, as all of them do after a while."""
    closed = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with raw_serving(script) as server:
        for _ in range(3):
            assert read_url(server.url) == b"x"
            assert closed.wait(PATIENCE)
            closed.clear()
        assert len(server.requests) == 3


def test_threads_share_them(server: Server) -> None:
    url = server.add("/image", b"all of it")
    results: list[bytes] = []

    def ask() -> None:
        results.extend(read_url(url) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [b"all of it"] * 20
    assert server.connections <= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_connections_of_its_own(server: Server) -> None:
    url = server.add("/image", b"all of it")
    assert read_url(url) == b"all of it"
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if read_url(url) == b"all of it" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_url(url) == b"all of it"
    assert server.connections == 2


def test_map_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_path: Path) -> None:
    """A connection for each thread that reads, and not one for each image."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving_tls(authority.context()) as server, ImageSegmentationModule() as module:
        urls = [server.add(f"/{n}.jpg", photo_path.read_bytes()) for n in range(12)]
        module.load(etseg.SELFIE_SEGMENTATION)
        with module.map(urls, look_ahead=2) as results:
            assert len([result.argmax for result in results]) == 12
        assert len(server.requests) == 12
        assert server.connections < 12


# A callback that wants what is being downloaded.


def test_a_callback_that_loads_the_same(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program)
    caught: list[DownloadError] = []

    def again(_: float) -> None:
        if not caught:
            with pytest.raises(DownloadError, match="the call whose callback asks") as error:
                ImageSegmentationModule().load(url)
            caught.append(error.value)

    load_with = ImageSegmentationModule()
    load_with.load(url, again)
    load_with.delete()
    assert caught[0].code == etseg.ErrorCode.RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS
    assert only_model(cache) == program
    load(url)


def test_a_callback_may_load_something_else(server: Server, program: bytes) -> None:
    url, other = server.add("/model.pte", program), server.add("/other.pte", program)
    resources.fetch(url, lambda _: resources.fetch(other) and None)
    assert len(resources.list_downloaded_models()) == 2


def test_a_callback_on_an_event_loop_that_loads_the_same(server: Server, program: bytes) -> None:
    """There the callback runs on the loop's thread, and would block it."""
    hold = threading.Event()
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=hold)])
    said: list[str] = []

    async def main() -> None:
        module = ImageSegmentationModule()

        def again(progress: float) -> None:
            if progress < 1 and not said:
                try:
                    ImageSegmentationModule().load(url)
                except DownloadError as error:
                    said.append(str(error))
                hold.set()

        await module.load_async(url, again)
        module.delete()

    asyncio.run(main())
    assert "the call whose callback asks" in said[0]


# Proxies.


@pytest.fixture
def proxy() -> Iterator[RawServer]:
    """A proxy that wants the login user:p@ss, for both ways of using one; and says "through"."""

    def script(connection: socket.socket, head: bytes) -> None:
        login = b"\r\nproxy-authorization: Basic dXNlcjpwQHNz\r\n"
        if login not in head and login.replace(b"proxy-a", b"Proxy-A") not in head:
            connection.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            )
        elif head.startswith(b"CONNECT "):
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthrough")

    with raw_serving(script) as server:
        yield server


def with_login(proxy: RawServer, login: str) -> str:
    return f"http://{login}127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_proxy_gets_its_login(
    proxy: RawServer, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, with_login(proxy, "user:p%40ss@"))
    assert read_url("http://models.invalid/x?q") == b"through"
    assert proxy.requests[0].startswith(b"GET http://models.invalid/x?q HTTP/1.1\r\n")
    assert b"\r\nauthorization" not in proxy.requests[0].lower()


@pytest.mark.parametrize("login", ["", "user:wrong@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login(
    proxy: RawServer, login: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", with_login(proxy, login))
    with pytest.raises(DownloadError, match="proxy answered 407: it wants a login") as caught:
        read_url(f"{scheme}://models.invalid/x")
    assert "wrong" not in str(caught.value)
    assert len(proxy.requests) == 1


def test_a_tunnel_gets_the_login_and_the_server_does_not(
    proxy: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", with_login(proxy, "user:p%40ss@"))
    with pytest.raises(DownloadError, match="the proxy answered 502"):
        read_url("https://models.invalid/x")
    assert all(head.startswith(b"CONNECT models.invalid:443 ") for head in proxy.requests)


def test_through_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving_tls(authority.context("models.invalid")) as server:
        server.add("/x", b"all of it")
        port = int(server.address.rpartition(":")[2])

        def script(connection: socket.socket, head: bytes) -> None:
            assert head.startswith(b"CONNECT models.invalid:443 ")
            with socket.create_connection(("127.0.0.1", port)) as beyond:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(beyond, connection))
                back.start()
                _pump(connection, beyond)
                back.join(PATIENCE)

        with raw_serving(script) as proxy:
            monkeypatch.setenv("https_proxy", with_login(proxy, "user:pass@"))
            assert read_url("https://models.invalid/x") == b"all of it"
            assert b"proxy-authorization: Basic dXNlcjpwYXNz" in proxy.requests[0]
            assert "proxy-authorization" not in server.requests[0].headers
            close_all()  # which ends the tunnel


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("proxy_url", ["socks5://user:c4n4ry@127.0.0.1:1", "http://[", "http://"])
def test_a_proxy_that_is_none(proxy_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy_url)
    with pytest.raises(DownloadError, match="the proxy of the environment is") as caught:
        read_url("http://models.invalid/x")
    assert "c4n4ry" not in str(caught.value)


def test_no_proxy(server: Server, proxy: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", with_login(proxy, ""))
    monkeypatch.setenv("no_proxy", server.address.partition("//")[2])
    assert read_url(server.add("/image", b"all of it")) == b"all of it"
    assert proxy.requests == []
