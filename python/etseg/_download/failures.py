"""What went wrong in the HTTP library, in our words.

Its own are left out where they may repeat what a server or proxy sent, or the URL: those may hold
secrets. So no error of ours has one of its errors as its cause.
"""

from __future__ import annotations

import re
import socket
import ssl

from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)

from etseg._errors import DownloadError, ErrorCode
from etseg._messages import shown

from .errors import PassingError

#: A server that speaks no TLS, or another, does so at the next attempt too.
_LASTING = ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION")


def failure_of(error: Exception, url: str, code: ErrorCode) -> DownloadError | PassingError | None:
    """The error for one of urllib3 or of what it stands on; None for any other."""
    if isinstance(error, ProxyError):
        return _failure_of_proxy(error.original_error, url, code)
    if isinstance(error, (SSLError, ssl.SSLError)):
        return _failure_of_tls(error, url, code)
    if isinstance(error, (LocationValueError, ValueError)):
        return DownloadError(
            f"{shown(url)} is no URL that can be asked for: check its host and port, and "
            "percent-encode what is special in it"
        )
    if isinstance(error, (HTTPError, OSError)):
        return PassingError(f"{shown(url)} failed: {_reason(error)}", code)
    from http.client import HTTPException

    if isinstance(error, HTTPException):
        if isinstance(error, ValueError) or type(error).__name__ == "InvalidURL":
            return failure_of(ValueError(), url, code)
        return PassingError(f"{shown(url)} failed: {_reason(error)}", code)
    if isinstance(error, OverflowError):  # a chunk of fewer bytes than none, by far
        return PassingError(f"{shown(url)} failed: {_reason(error)}", code)
    return None


def _failure_of_proxy(error: Exception, url: str, code: ErrorCode) -> DownloadError | PassingError:
    match = re.match(r"Tunnel connection failed: ([0-9]{3})\b", str(error))
    if match is None:
        return PassingError(f"{shown(url)} failed: no connection to the proxy", code)
    status = int(match[1])
    if status >= 500:
        return PassingError(f"{shown(url)} failed: the proxy answered {status}", code)
    return DownloadError(f"{shown(url)}: the proxy answered {status}{hint_of_proxy(status)}")


def hint_of_proxy(status: int) -> str:
    """What to do about a proxy's answer."""
    if status == 407:
        return ": it wants a login. Put one into its URL: http://user:password@host:port"
    return ": it refuses to pass this on"


def _failure_of_tls(error: Exception, url: str, code: ErrorCode) -> DownloadError | PassingError:
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = inner.verify_message or "its certificate is not valid"
        return DownloadError(f"no safe connection to {shown(url)}: {why}")
    reason = getattr(inner, "reason", None) or type(inner).__name__
    if reason in _LASTING or not isinstance(inner, ssl.SSLError):
        return DownloadError(f"no safe connection to {shown(url)}: {reason}")
    return PassingError(f"{shown(url)} failed: TLS: {reason}", code)


def _reason(error: BaseException) -> str:
    """What may be said of an error: by its kind, and by numbers."""
    if isinstance(error, NameResolutionError):
        return "its host is not known"
    if isinstance(error, NewConnectionError):
        return "cannot connect: " + str(error).rpartition(": ")[2]
    if isinstance(error, ProtocolError) and len(error.args) > 1:
        inner = error.args[1]
        return f"the connection broke: {_reason(inner)}" if inner else "the connection broke"
    if isinstance(error, ProtocolError):
        return "the connection broke"
    came, missing = getattr(error, "partial", None), getattr(error, "expected", None)
    if isinstance(came, (int, bytes)) and isinstance(missing, int):
        came = came if isinstance(came, int) else len(came)
        return f"{came} bytes came, {missing} are missing"
    if isinstance(error, socket.gaierror):
        return "its host is not known"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"what it sends is no HTTP ({type(error).__name__})"
