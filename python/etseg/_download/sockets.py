"""Sockets that wait under the watch of their call: in every recv and send, in the handshake of TLS,
in connect, and for names. What reads them (heads, chunks, trailers, tunnels) need not know.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .watch import current

_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR)

T = TypeVar("T")


class _Watched(socket.socket):
    """What both kinds of sockets have in common."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        count = self._in_slices(lambda: super(_Watched, self).recv_into(*args, **options))
        _count(count)
        return count

    def recv(self, *args: Any, **options: Any) -> bytes:
        data = self._in_slices(lambda: super(_Watched, self).recv(*args, **options))
        _count(len(data))
        return data

    def send(self, *args: Any, **options: Any) -> int:
        return self._in_slices(lambda: super(_Watched, self).send(*args, **options))

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest, flags) :]

    def _in_slices(self, operation: Callable[[], T]) -> T:
        watch = current()
        if watch is None:
            return operation()

        def for_seconds(seconds: float) -> T:
            self.settimeout(seconds)
            return operation()

        return watch.waiting(for_seconds)


class Socket(_Watched):
    """A plain one."""

    def connect(self, address: Any) -> None:
        from urllib3.util import wait_for_write

        def until_writable(seconds: float) -> None:
            if not wait_for_write(self, seconds):
                raise TimeoutError

        watch = current()
        if watch is None:
            super().connect(address)
            return
        self.setblocking(False)
        code = self.connect_ex(address)
        if code in _UNDER_WAY:
            watch.waiting(until_writable)
            code = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.setblocking(True)
        if code:
            raise OSError(code, os.strerror(code))


class TlsSocket(_Watched, ssl.SSLSocket):
    """One that an SSLContext makes, by its attribute `sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            self._in_slices(lambda: super(TlsSocket, self).do_handshake(block))
        except BaseException:  # who made this closes it after an OSError alone
            self.close()
            raise


def connected(host: str, port: int, options: Sequence[tuple[Any, ...]]) -> Socket:
    """A connection to the first address of a host that takes it. Raises OSError."""
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host, port):
        sock = Socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure or OSError(f"{host!r} has no address")


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    """Of a host. A resolver cannot be interrupted: another thread waits for it."""
    watch = current()
    if watch is None or _is_address(host):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:
            answers.put(error)

    def until_there(seconds: float) -> list[tuple[Any, ...]] | Exception:
        try:
            return answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    try:
        threading.Thread(target=ask, name="etseg-name", daemon=True).start()
    except RuntimeError:  # no thread to be had
        ask()
    answer = watch.waiting(until_there)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _count(received: int) -> None:
    watch = current()
    if watch is not None:
        watch.received(received)
