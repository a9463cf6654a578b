"""Where a redirect may lead."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin, urlsplit

from etseg._errors import DownloadError
from etseg._messages import shown
from etseg._uris import split_url


def redirected(url: str, target: str) -> str:
    """Where a redirect leads.

    Raises:
        DownloadError: to where we do not go.
    """
    joined = _joined(url, target)
    parts = split_url(joined) if joined is not None else None
    if joined is None or parts is None:
        raise DownloadError(f"{shown(url)} redirects to what is no URL")
    scheme = parts.scheme.lower()
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


def _joined(url: str, target: str) -> str | None:
    try:
        return urldefrag(urljoin(url, target)).url
    except ValueError:
        return None
