"""Images by URL, for a service that others may use: public addresses only, after each look-up.

etseg's own downloads go wherever the caller's URL says, for the caller is trusted. Here a stranger
names it, and could name what this machine alone can reach.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from urllib3.util import connection as sockets

from ._problem import ProblemError

if TYPE_CHECKING:
    from typing_extensions import Self

_BLOCK = 1 << 16
_MOST_REDIRECTS = 3


class _NotPublicError(Exception):
    """An address that a stranger is not to reach through this machine."""


class _Deadline:
    """Hangs up on a fetch's connections once its time is over.

    A server that sends a byte now and then keeps each wait within its time-out, of heads and of
    bodies, and would hold a fetch for days.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_over = False

    def __enter__(self) -> Self:
        self._token = _deadline.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _deadline.reset(self._token)
        self._timer.cancel()
        with self._lock:
            for connected in self._sockets:
                connected.close()
            self._sockets.clear()

    def hold(self, connected: socket.socket) -> None:
        """Of a connection's socket a copy: TLS takes the socket itself apart."""
        with self._lock:
            self._sockets.append(connected.dup())
            if self.is_over:
                connected.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        with self._lock:
            self.is_over = True
            for connected in self._sockets:
                with suppress(OSError):  # it is closed already
                    connected.shutdown(socket.SHUT_RDWR)


_deadline: ContextVar[_Deadline] = ContextVar("_deadline")


def read(url: str, max_bytes: int, seconds: float) -> bytes:
    """The body that a URL leads to.

    Raises:
        ProblemError: it is no http(s) URL, leads to an address that is not public, or cannot be had
            within the bounds.
    """
    if not _is_http(url):
        raise ProblemError(400, "'url' is no http(s) URL")
    with _Deadline(seconds) as deadline:
        try:
            body = _read(url, max_bytes)
        except _NotPublicError as error:
            raise ProblemError(403, str(error)) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(reason := _cause_of(error), _NotPublicError):
                raise ProblemError(403, str(reason)) from None
            if deadline.is_over:
                raise _too_late() from None
            raise ProblemError(502, f"the URL cannot be read: {type(error).__name__}") from None
        if deadline.is_over:  # a body without a length ends where the connection does
            raise _too_late()
        return body


def _too_late() -> ProblemError:
    return ProblemError(504, "what the URL leads to did not arrive in time")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _read(url: str, max_bytes: int) -> bytes:
    body = bytearray()
    with urllib3.PoolManager(
        num_pools=_MOST_REDIRECTS + 1,
        timeout=urllib3.Timeout(connect=5.0, read=5.0),
        retries=urllib3.Retry(
            total=None, connect=0, read=0, status=0, other=0, redirect=_MOST_REDIRECTS
        ),
        ssl_context=ssl.create_default_context(),
    ) as pools:
        pools.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        answer = pools.request("GET", url, preload_content=False)
        try:
            if answer.status != 200:
                raise ProblemError(502, f"the URL answered with status {answer.status}")
            while block := answer.read1(_BLOCK):
                body += block
                if len(body) > max_bytes:
                    raise ProblemError(413, f"the URL's body has more than {max_bytes} bytes")
        finally:
            answer.close()  # not back to the pool: what is left of it is not read
    return bytes(body)


def _connect(connection: Any) -> socket.socket:
    """Looks a connection's host up, refuses unless all of it is public, and goes to just that."""
    found = socket.getaddrinfo(connection.host, connection.port, 0, socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address):
            raise _NotPublicError(f"{connection.host!r} is {address}, which is no public address")
    connected = sockets.create_connection(
        (addresses[0], connection.port),
        connection.timeout,
        source_address=connection.source_address,
        socket_options=connection.socket_options,
    )
    try:
        _deadline.get().hold(connected)
    except OSError:
        connected.close()
        raise
    return connected


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, and of no special kind."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    return parsed.is_global and not parsed.is_multicast and (inner is None or inner.is_global)


def _cause_of(error: BaseException | None) -> BaseException | None:
    """What lies at the bottom of an error, as urllib3 wraps them."""
    while error is not None and not isinstance(error, _NotPublicError):
        error = getattr(error, "reason", None) or error.__cause__ or error.__context__
    return error


class _HTTPConnection(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls: Any = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls: Any = _HTTPSConnection
