"""The connections of this process, kept alive and shared by its threads.

One urllib3 manager for each proxy and set of certificates. A forked child starts with none: its
parent goes on using those.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from functools import lru_cache
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from etseg._errors import DownloadError
from etseg._messages import shown

from .headers import basic_login
from .sockets import Socket, TlsSocket, connected
from .watch import current

#: Idle connections to one host that are kept, and hosts.
_KEPT, _HOSTS = 64, 32


class _Response(HTTPResponse):
    """One whose headers are not complained about: urllib3 logs what it could not make out."""

    def begin(self, *args: Any, **options: Any) -> None:  # newer Pythons count headers
        super().begin(*args, **options)
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Watched:
    """What both kinds of connections have in common."""

    def _new_conn(self: Any) -> Socket:
        try:
            return connected(self._dns_host, self.port, self.socket_options or ())
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise NameResolutionError(self.host, self, error) from error
            raise NewConnectionError(self, error.strerror or str(error)) from error

    def connect(self: Any) -> None:
        watch = current()
        if watch is not None:
            watch.connecting()
        super().connect()  # type: ignore[misc]
        if watch is not None:
            watch.asking()

    def putrequest(self: Any, method: str, url: str, *args: Any, **options: Any) -> None:
        """Puts the query back, which urllib3 must not see: it logs what it is asked for."""
        watch = current()
        if watch is not None:
            watch.asking()
            url += watch.query
        super().putrequest(method, url, *args, **options)  # type: ignore[misc]

    def getresponse(self: Any) -> Any:
        response = super().getresponse()  # type: ignore[misc]
        watch = current()
        if watch is not None:
            watch.reading()
        return response


class _Connection(_Watched, HTTPConnection):
    response_class = _Response


class _TlsConnection(_Watched, HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def manager_for(url: str) -> urllib3.PoolManager:
    """The manager through which a URL is asked for, by the environment's proxies.

    Raises:
        DownloadError: the proxy is none.
    """
    proxy = _proxy_for(url)
    secure = any(text.lower().startswith("https:") for text in (url, proxy or ""))
    certificates = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    key = (proxy, secure, certificates)
    manager = _managers.get(key)
    if manager is None:
        with _lock:
            if key not in _managers:
                _managers[key] = _manager(proxy, _ssl_context(*certificates) if secure else None)
            manager = _managers[key]
    return manager


def _manager(proxy: str | None, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "num_pools": _HOSTS,
        "maxsize": _KEPT,
        "ssl_context": context,
    }
    if proxy is None:
        manager = urllib3.PoolManager(**options)
    else:
        address, login = _without_login(proxy)
        headers = {"proxy-authorization": login} if login else None
        manager = urllib3.ProxyManager(
            address, proxy_headers=headers, proxy_ssl_context=context, **options
        )
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager


def _proxy_for(url: str) -> str | None:
    """The URL of the proxy that the environment names, with its login."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme.lower()) or proxies.get("all")
    if not proxy or not parts.hostname:
        return None
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    if proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        usable = urlsplit(proxy).scheme.lower() in ("http", "https") and urlsplit(proxy).hostname
        _ = urlsplit(proxy).port
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(
            f"the proxy of the environment is {shown(proxy)}; expected http://host:port or https"
        )
    return proxy


def _without_login(proxy: str) -> tuple[str, str]:
    """A proxy's URL, and the header with its login; "" without one."""
    parts = urlsplit(proxy)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="", query="").geturl()
    if parts.username is None:
        return address, ""
    return address, basic_login(parts.username, parts.password)


@lru_cache(maxsize=8)
def _ssl_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Reading the system's certificates takes longer than a small request.

    The variables are OpenSSL's own, which reads them itself: they are here to be told apart.
    """
    del file, folder
    from urllib3.util import create_urllib3_context

    context = create_urllib3_context()
    context.load_default_certs()
    context.sslsocket_class = TlsSocket
    return context


_lock = threading.Lock()
_managers: dict[tuple[object, ...], urllib3.PoolManager] = {}
#: Kept, so that nobody closes them: their locks may have been held when the process was forked.
_parents: list[object] = []


def close_all() -> None:
    """Closes what is kept and idle. What is in use goes on, and is closed when it is done."""
    with _lock:
        managers = list(_managers.values())
        _managers.clear()
    for manager in managers:
        manager.clear()


def _after_fork() -> None:
    global _lock, _managers
    _parents.append(_managers)
    _lock, _managers = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
