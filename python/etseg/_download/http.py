"""Everything that leaves this machine: GET and HEAD over http(s), bounded in size, time and hops.

No other scheme, no way from https to http, no cookies, no credentials but those in the URL. Files
are asked for uncompressed, so that lengths and ranges are those of the file; what is compressed all
the same is decoded. Proxies are the environment's (``HTTPS_PROXY``, ``NO_PROXY``); certificates are
the system's.
"""

from __future__ import annotations

import logging
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from etseg._errors import DownloadError, ErrorCode
from etseg._limits import Limits
from etseg._native import __version__

from .headers import content_length, is_encoded

if TYPE_CHECKING:
    import urllib3  # imported where it is used: `import etseg` needs no network

_DEFAULTS = Limits()

#: How often one request is tried, and how long the first pause is; it doubles each time.
TRIES = 5
FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0

#: A server that sends less than this for a whole read timeout has stalled, in bytes per second.
SLOWEST = 1024
_BLOCK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)

_log = logging.getLogger("etseg")
T = TypeVar("T")


class PassingError(Exception):
    """An attempt failed in a way that may be gone at the next. Never leaves the package."""

    def __init__(self, message: str, code: ErrorCode, pause: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.pause = pause  # what the server asked for, in seconds


class Answer:
    """The head of a response, and a way to its body."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, read_timeout: float) -> None:
        self.status = response.status
        self.headers = response.headers
        self.encoded = is_encoded(self.headers)
        self._response = response
        self._url = url
        self._read_timeout = read_timeout

    @property
    def length(self) -> int | None:
        """How many bytes of body are announced; None where that is not said, or not of these."""
        try:
            length = content_length(self.headers.get("Content-Length"))
        except ValueError as error:
            raise DownloadError(f"{shown(self._url)} sends no valid answer: {error}") from None
        return None if self.encoded else length

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            PassingError: the connection broke, or the server stalled.
        """
        waited, received = 0.0, 0
        while True:
            start = time.monotonic()
            with _translated(self._url, ErrorCode.DOWNLOAD_INTERRUPTED):
                block = self._response.read1(_BLOCK)
            if not block:
                return
            waited += time.monotonic() - start
            received += len(block)
            if waited > self._read_timeout:
                if received < SLOWEST * waited:
                    raise PassingError(
                        f"{shown(self._url)} stalled: {received} bytes in {waited:.1f} s",
                        ErrorCode.DOWNLOAD_INTERRUPTED,
                    )
                waited, received = 0.0, 0
            yield block


@contextmanager
def request(
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    limits: Limits = _DEFAULTS,
) -> Iterator[Answer]:
    """One attempt at `url`, redirects followed. Any status but one worth another attempt is given.

    Raises:
        PassingError: no answer, or one that says to try later.
        DownloadError: another attempt would not help: offline mode, a bad URL or certificate, a
            redirect to where we do not go.
    """
    import urllib3

    if is_offline():
        raise DownloadError(
            f"{shown(url)} is not on this machine, and ETSEG_OFFLINE is set; unset it to download"
        )
    timeout = urllib3.Timeout(connect=limits.connect_timeout, read=limits.read_timeout)
    for _ in range(limits.max_redirects + 1):
        with _translated(url, ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED):
            pool = _pool_for(url)
            try:
                response = pool.request(
                    method,
                    without_user(url),
                    headers={**_headers_for(url), **(headers or {})},
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except BaseException:
                pool.clear()
                raise
        try:
            target = response.headers.get("Location")
            if response.status in _REDIRECTS and target:
                url = _redirected(url, target)
                continue
            if response.status in _PASSING:
                raise PassingError(
                    f"{shown(url)} answered {response.status} {response.reason or ''}".rstrip(),
                    ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED,
                    _seconds_to_wait(response.headers.get("Retry-After")),
                )
            yield Answer(response, url, limits.read_timeout)
            return
        finally:
            response.close()
            pool.clear()
    raise DownloadError(f"more than {limits.max_redirects} redirects, the last one to {shown(url)}")


def retried(attempt: Callable[[], T], has_advanced: Callable[[], bool] = lambda: False) -> T:
    """`attempt()`, and again after a pause where it failed in passing.

    Args:
        has_advanced: whether the attempts since the last call came so far that they need not be
            counted against the limit.

    Raises:
        DownloadError: the last attempt failed too.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except PassingError as error:
            failures = 1 if has_advanced() else failures + 1
            if failures >= TRIES:
                raise DownloadError(
                    f"{error}; gave up after {failures} attempts without progress. Check the "
                    "network and the URL, and try again",
                    error.code,
                ) from error
            pause = FIRST_PAUSE * 2 ** (failures - 1) * random.uniform(0.75, 1.25)
            pause = min(max(pause, error.pause), _LONGEST_PAUSE)
            _log.info("%s; next attempt in %.2f s", error, pause)
        time.sleep(pause)


def read_url(
    url: str,
    *,
    max_bytes: int = _DEFAULTS.max_download_bytes,
    connect_timeout: float = _DEFAULTS.connect_timeout,
    read_timeout: float = _DEFAULTS.read_timeout,
    max_redirects: int = _DEFAULTS.max_redirects,
) -> bytes:
    """What a URL holds, in memory.

    Raises:
        DownloadError: it cannot be had, or is larger than `max_bytes`.
    """

    limits = Limits(
        connect_timeout=connect_timeout, read_timeout=read_timeout, max_redirects=max_redirects
    )

    def attempt() -> bytes:
        with request("GET", url, limits=limits) as answer:
            check_status(answer, url, 200)
            if (answer.length or 0) > max_bytes:
                raise _too_large(url, max_bytes)
            content = bytearray()
            for block in answer.blocks():
                content += block
                if len(content) > max_bytes:
                    raise _too_large(url, max_bytes)
            return bytes(content)

    return retried(attempt)


def check_status(answer: Answer, url: str, *expected: int) -> None:
    """Raises a DownloadError unless the status is an expected one."""
    if answer.status not in expected:
        hints = {401: "it wants a login", 403: "access is refused", 404: "there is nothing there"}
        why = hints.get(answer.status, "expected " + " or ".join(map(str, expected)))
        raise DownloadError(f"{shown(url)} answered {answer.status}: {why}. Check the URL")


def is_offline() -> bool:
    """Whether ETSEG_OFFLINE forbids to use the network."""
    return os.environ.get("ETSEG_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def shown(url: str) -> str:
    """A URL for people to read: without a password, not too long."""
    text = without_user(url)
    return repr(text if len(text) <= 200 else text[:197] + "...")


@contextmanager
def _translated(url: str, code: ErrorCode) -> Iterator[None]:
    """urllib3's errors as ours."""
    from http.client import InvalidURL

    from urllib3.exceptions import HTTPError, SSLError

    try:
        yield
    except (InvalidURL, ValueError) as error:
        raise DownloadError(f"{shown(url)} is no URL that can be asked for: {error}") from error
    except SSLError as error:
        raise DownloadError(f"no safe connection to {shown(url)}: {error}") from error
    except HTTPError as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], str) else error
        raise PassingError(f"{shown(url)} failed: {reason}", code) from error


def _pool_for(url: str) -> urllib3.PoolManager:
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    context = _ssl_context() if parts.scheme.lower() == "https" else None
    proxy = getproxies().get(parts.scheme.lower())
    if proxy and parts.hostname and not proxy_bypass(parts.hostname):
        return urllib3.ProxyManager(
            proxy if "://" in proxy else f"http://{proxy}", ssl_context=context
        )
    return urllib3.PoolManager(ssl_context=context)


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    """Reading the system's certificates takes longer than a small request."""
    from urllib3.util import create_urllib3_context

    context = create_urllib3_context()
    context.load_default_certs()
    return context


def _headers_for(url: str) -> dict[str, str]:
    import urllib3

    headers = {"User-Agent": f"etseg/{__version__}", "Accept-Encoding": "identity"}
    parts = urlsplit(url)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers.update(urllib3.make_headers(basic_auth=login))
    return headers


def without_user(url: str) -> str:
    """A URL without the user name and password it may have."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _redirected(url: str, target: str) -> str:
    try:
        joined = urldefrag(urljoin(url, target)).url
        scheme = urlsplit(joined).scheme.lower()
    except ValueError as error:
        raise DownloadError(f"{shown(url)} redirects to {target!r}: {error}") from error
    if scheme not in ("http", "https"):
        raise DownloadError(
            f"{shown(url)} redirects to {shown(joined)}; only http and https are followed"
        )
    if scheme == "http" and urlsplit(url).scheme.lower() == "https":
        raise DownloadError(
            f"{shown(url)} redirects to {shown(joined)}, away from https; if you trust that "
            "address, ask for it directly"
        )
    return joined


def _seconds_to_wait(retry_after: str | None) -> float:
    if retry_after is None:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0


def _too_large(url: str, max_bytes: int) -> DownloadError:
    return DownloadError(f"{shown(url)} holds more than the {max_bytes} bytes that are allowed")
