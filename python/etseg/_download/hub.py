"""Files on Hugging Face's hub: what `hf://` means, which server is asked, and who gets the token.

A file keeps its canonical URL in the cache and in messages, wherever it is fetched from.

============================  ==================================================================
environment variable          what it does
============================  ==================================================================
``HF_TOKEN``                  sent with requests to the hub, and nowhere else: not after a
                              redirect to another server, and without TLS to the loopback only
``HF_ENDPOINT``               the hub's address, such as a mirror's: asked in place of
                              ``https://huggingface.co``
``HF_HUB_OFFLINE=1``          the hub is not asked
============================  ==================================================================
"""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import quote, unquote, urlsplit

from etseg._errors import DownloadError
from etseg._messages import shown

HUB = "https://huggingface.co"

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REFERENCE = re.compile(rf"hf://({_PART})/({_PART})(?:@([^/@]+))?/([^@]+)(?:@([^@]+))?", re.I)


def url_of_reference(uri: str) -> str:
    """The URL that ``hf://owner/repo/file[@revision]`` stands for; a revision is a branch, a tag or
    a commit, "main" without one. ``hf://owner/repo@revision/file`` is the same.

    Raises:
        ValueError: it has another form.
    """
    match = _REFERENCE.fullmatch(uri)
    if match is None or (match[3] and match[5]):
        raise ValueError("expected hf://owner/repository/file[@revision]")
    owner, repository, first, file, last = match.groups()
    segments = unquote(file).split("/")
    if not all(segments) or {".", ".."} & set(segments):
        raise ValueError("the file in it has an empty part, '.' or '..'")
    revision = quote(unquote(first or last or "main"), safe="")
    path = "/".join(quote(segment, safe="") for segment in segments)
    return f"{HUB}/{owner}/{repository}/resolve/{revision}/{path}"


def is_on_hub(url: str) -> bool:
    """Whether the URL is the hub's, by its canonical name or that of HF_ENDPOINT."""
    return _origin(url) in (_origin(HUB), _origin(_endpoint()))


def routed(url: str) -> str:
    """The URL to ask for a file: of the hub's, that at HF_ENDPOINT.

    Raises:
        DownloadError: HF_ENDPOINT is no http(s) URL.
    """
    if _origin(url) != _origin(HUB):
        return url
    endpoint = _endpoint()
    if _origin(endpoint) is None:
        raise DownloadError(
            f"HF_ENDPOINT is {shown(endpoint)}; expected an http(s) URL, such as {HUB}"
        )
    rest = url.partition("://")[2]
    return endpoint + rest[len(rest.split("/", 1)[0].split("?", 1)[0]) :]


def token_for(url: str) -> str | None:
    """HF_TOKEN, if this URL's server is the one that may see it.

    Raises:
        DownloadError: HF_TOKEN has characters that no token has.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    origin = _origin(url)
    if not token or origin is None or origin != _origin(_endpoint()):
        return None
    if origin[0] != "https" and not _is_loopback(origin[1]):
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise DownloadError("HF_TOKEN is no token: it has characters that none has")
    return token


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None where it is no http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname:
        return None
    return scheme, parts.hostname.rstrip("."), port or (443 if scheme == "https" else 80)


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs are of one server."""
    origin = _origin(one)
    return origin is not None and origin == _origin(other)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
