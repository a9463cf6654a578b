"""Who is asked with which login, and what may be kept of a URL that has one."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from etseg._uris import split_url

from . import hub
from .headers import basic_login


def login_for(url: str, first: str) -> dict[str, str]:
    """The header with the login of a URL, and the hub's token where it is due.

    Args:
        first: the URL that was asked for; `url` may be where it led.
    """
    parts = urlsplit(url)
    if parts.username is not None:
        return {"authorization": basic_login(parts.username, parts.password)}
    if hub.same_origin(url, first) and (token := hub.token_for(url)) is not None:
        return {"authorization": f"Bearer {token}"}
    return {}


def without_user(url: str) -> str:
    """A URL without the user name and password it may have."""
    parts = split_url(url)
    if parts is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def asked_as(url: str) -> str:
    """All that decides what a server answers: the URL with its login, and the hub's token.

    A secret: to be hashed, and not shown.
    """
    routed = hub.routed(url)
    return "\n".join([url, *login_for(routed, routed).values()])


def may_be_private(url: str) -> bool:
    """Whether it takes a secret to get a file: a login, a token, or a query, which may be one."""
    parts = urlsplit(url)
    return bool(parts.query or parts.username is not None or hub.token_for(hub.routed(url)))
