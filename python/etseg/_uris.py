"""What a string is a URI of. Images and models follow one rule."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ._errors import InvalidUserInputError
from ._messages import shown

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme_of(text: str) -> str | None:
    """The scheme of ``scheme://...`` in lower case, else None."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL; None where it is malformed. Python's own error would quote it, and stay
    behind whatever is raised in its place.
    """
    try:
        return urlsplit(url)
    except ValueError:
        return None


def path_of_file_uri(uri: str) -> Path:
    """The path that a ``file://`` URI names, percent-decoded.

    Raises:
        InvalidUserInputError: the URI names another host, or no path.
    """
    parts = split_url(uri)
    if parts is None:
        raise InvalidUserInputError(f"{shown(uri)} is no URI")
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise InvalidUserInputError(
            f"{shown(uri)} is no URI of a local file; expected file:///absolute/path, with special "
            "characters percent-encoded"
        )
    # '?' and '#' may stand in a file's name: people paste paths behind file:// unencoded.
    path = parts.path
    if parts.query:
        path += "?" + parts.query
    if parts.fragment:
        path += "#" + parts.fragment
    return Path(unquote(path, errors="surrogateescape"))
