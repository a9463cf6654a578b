"""How values stand in messages, logs and records: short, and without secrets."""

from __future__ import annotations

import re

_LONGEST_URL = 200
_LONGEST = 80

# Up to where a path begins: scheme, then whatever stands for a login and a host.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#\\]*)([^?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(\[[^\]@]*\]|[^:\[\]]*)(:[0-9]*)?")


def redacted(url: str) -> str:
    """A URL for people: without login, query and fragment, where secrets are.

    A query leaves ``?...``. What does not parse may have its login anywhere: of that, only the
    scheme is left.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return "..."
    scheme, authority, path, rest = match.groups()
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host) or ("@" in path and ":" in authority):
        return scheme + "..."
    return scheme + host + path + ("?..." if rest.startswith("?") else "")


def shown(url: str) -> str:
    """A URL in a message: :func:`redacted`, quoted, not too long."""
    text = redacted(url)
    return repr(text if len(text) <= _LONGEST_URL else text[: _LONGEST_URL - 3] + "...")


def source_for_people(source: str) -> str:
    """What names a model or an image: a path as it is, a URL :func:`redacted`."""
    match = _URL.fullmatch(source)
    if match is None or (match[1].lower() == "file://" and match[2] in ("", "localhost")):
        return source
    return redacted(source)


def brief(value: object, most: int = _LONGEST) -> str:
    """Any value in a message: its repr, not longer than `most`. Raises nothing."""
    if isinstance(value, (str, bytes)) and len(value) > most:
        cut = value[: most - 3]
        return repr(cut + "..." if isinstance(cut, str) else cut + b"...")
    try:
        text = repr(value)
    except Exception:  # of somebody's class; or an int of too many digits
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= most else text[: most - 3] + "..."
