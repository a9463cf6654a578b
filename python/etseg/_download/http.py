"""Everything that leaves this machine: GET and HEAD over http(s), bounded in size, time and hops.

No other scheme, no way from https to http, no cookies, no credentials but those in the URL and, for
the hub, HF_TOKEN. Files are asked for uncompressed, so that lengths and ranges are those of the
file; what is compressed all the same is decoded. Proxies are the environment's (``HTTPS_PROXY``,
``NO_PROXY``); certificates are the system's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from etseg._errors import DownloadError, ErrorCode
from etseg._limits import Limits
from etseg._messages import shown
from etseg._native import __version__
from etseg._uris import split_url

from . import hub
from .errors import PassingError
from .headers import content_length, is_encoded, seconds_to_wait
from .logins import login_for, without_user
from .offline import check_online
from .redirects import redirected
from .retrying import retried
from .watch import Watch, current

if TYPE_CHECKING:
    import urllib3  # imported where it is used: `import etseg` needs no network

_DEFAULTS = Limits()

_BLOCK = 1 << 18
#: The body of an answer that is not wanted is read all the same where it is no longer than this.
_WORTH_READING = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)

T = TypeVar("T")


class Answer:
    """The head of a response, and a way to its body."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self.encoded = is_encoded(response.headers)
        self._response = response
        self._url = url

    @property
    def length(self) -> int | None:
        """How many bytes of body are announced; None where that is not said, or not of these.

        Raises:
            DownloadError: what is announced is no number.
        """
        try:
            length = content_length(self.headers.get("Content-Length"))
        except ValueError as error:
            raise DownloadError(f"{shown(self._url)} sends no valid answer: {error}") from None
        return None if self.encoded else length

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            PassingError: the connection broke.
        """
        while True:
            block = _asked(
                lambda: self._response.read1(_BLOCK), self._url, ErrorCode.DOWNLOAD_INTERRUPTED
            )
            if not block:
                return
            watch = current()
            if watch is not None:
                watch.delivered()
            yield block


@contextmanager
def request(
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    limits: Limits = _DEFAULTS,
) -> Iterator[Answer]:
    """One attempt at `url`, redirects followed. Any status but one worth another attempt is given.

    To be called by what :func:`retried` calls.

    Raises:
        PassingError: no answer, or one that says to try later.
        DownloadError: another attempt would not help: offline mode, a bad URL or certificate, a
            redirect to where we do not go.
    """
    if split_url(url) is None:
        raise DownloadError(f"{shown(url)} is no URL")
    check_online(url)
    first = url = hub.routed(url)
    for _ in range(limits.max_redirects + 1):
        login = login_for(url, first)
        response = _asked(
            lambda url=url, login=login: _open(method, url, {**login, **(headers or {})}),  # type: ignore[misc]
            url,
            ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED,
        )
        try:
            if method == "HEAD" or response.status not in (200, 206):
                _drain(response)
            target = response.headers.get("Location")
            if response.status in _REDIRECTS and target:
                url = redirected(url, target)
                continue
            if response.status in _PASSING:
                raise PassingError(
                    f"{shown(url)} answered {_named(response.status)}",
                    ErrorCode.RESOURCE_FETCHER_DOWNLOAD_FAILED,
                    seconds_to_wait(response.headers.get("Retry-After"), time.time()),
                )
            yield Answer(response, url)
            return
        finally:
            response.close()
            response.release_conn()
    raise DownloadError(
        f"{shown(first)} leads further than the {limits.max_redirects} redirects of "
        f"Limits.max_redirects, the last one to {shown(url)}; ask for that one, if you trust it"
    )


def read_url(url: str, limits: Limits = _DEFAULTS) -> bytes:
    """What a URL holds, in memory, within all of the limits.

    Raises:
        DownloadError: it cannot be had, or is larger than allowed.
    """
    most = limits.max_download_bytes

    def attempt() -> bytes:
        with request("GET", url, limits=limits) as answer:
            check_status(answer, url, 200)
            if (answer.length or 0) > most:
                raise _too_large(url, most)
            content = bytearray()
            for block in answer.blocks():
                content += block
                if len(content) > most:
                    raise _too_large(url, most)
            return bytes(content)

    return retried(Watch(url, limits, limits.total_timeout), attempt)


def announced_length(url: str, limits: Limits = _DEFAULTS) -> int | None:
    """How many bytes a URL has, as its server says.

    Raises:
        DownloadError: it does not answer.
    """

    def attempt() -> int | None:
        with request("HEAD", url, limits=limits) as answer:
            check_status(answer, url, 200)
            return answer.length

    return retried(Watch(url, limits, limits.total_timeout), attempt)


def check_status(answer: Answer, url: str, *expected: int) -> None:
    """Raises a DownloadError unless the status is an expected one."""
    if answer.status in expected:
        return
    hints = {401: "it wants a login", 403: "access is refused", 404: "there is nothing there"}
    why = hints.get(answer.status, "expected " + " or ".join(map(str, expected)))
    if answer.status == 407:
        from .failures import hint_of_proxy

        raise DownloadError(f"{shown(url)}: the proxy answered 407{hint_of_proxy(407)}")
    if answer.status in (401, 403, 404) and hub.is_on_hub(url):
        why += ", or it is private or gated: set HF_TOKEN to a token that may read it"
    raise DownloadError(f"{shown(url)} answered {answer.status}: {why}. Check the URL")


def _open(method: str, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    """One request, one answer. The query goes a way of its own: see `connections`."""
    from urllib3.util import parse_url

    from .connections import manager_for

    parsed = parse_url(without_user(url))
    if not parsed.host or parsed.scheme not in ("http", "https"):
        raise ValueError
    watch = current()
    assert watch is not None, "to be called under retried()"
    watch.query = "" if parsed.query is None else f"?{parsed.query}"
    return manager_for(url).urlopen(
        method,
        parsed._replace(query=None, fragment=None).url,
        headers={
            "User-Agent": f"etseg/{__version__}",
            "Accept-Encoding": "identity",
            **headers,
        },
        timeout=None,
        retries=False,
        redirect=False,
        preload_content=False,
    )


def _drain(response: urllib3.BaseHTTPResponse) -> None:
    """Reads what is of no interest, if it is short: then the connection can be kept."""
    left = response.length_remaining
    watch = current()
    if left is not None and left <= _WORTH_READING and watch is not None:
        watch.draining()
        response.drain_conn()  # what goes wrong here closes the connection, and is no error


def _asked(call: Callable[[], T], url: str, code: ErrorCode) -> T:
    """What `call` returns; urllib3's errors as ours, without a trace of theirs."""
    from .failures import failure_of

    try:
        return call()
    except (DownloadError, PassingError):
        raise
    except Exception as error:
        failure = failure_of(error, url, code)
        if failure is None:
            raise
    raise failure


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _too_large(url: str, max_bytes: int) -> DownloadError:
    return DownloadError(
        f"{shown(url)} holds more than the {max_bytes:,} bytes of Limits.max_download_bytes; if "
        "you trust it, ImageSegmentationModule(limits=etseg.Limits(max_download_bytes=...)) takes "
        "it"
    )
