"""What headers of a response mean. Pure functions of text that a server chose: none raises anything
but what it says, whatever it is given.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

#: A date of last change says which version a file is only once it is older than this, in seconds:
#: until then the file may change again under the same date.
_SETTLED = 60.0
_NUMBER = r"[0-9]{1,18}"  # more bytes than any disk has; longer ones cost time to read


@dataclass(frozen=True)
class ContentRange:
    """Which bytes of a file come."""

    first: int
    last: int
    total: int | None  # None where the server does not say


def content_length(text: str | None) -> int | None:
    """How many bytes are announced; None where nothing is.

    Raises:
        ValueError: that is no length.
    """
    if text is None:
        return None
    lengths = {part.strip() for part in text.split(",", 2)}  # a proxy may have doubled it
    if len(lengths) != 1 or not re.fullmatch(_NUMBER, length := lengths.pop()):
        raise ValueError("its Content-Length is no number of bytes")
    return int(length)


def content_range(text: str | None) -> ContentRange | None:
    """Which bytes come; None where that is not said, or makes no sense."""
    match = re.fullmatch(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)", text or "")
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    found = ContentRange(int(match[1]), int(match[2]), total)
    if found.first > found.last or (total is not None and found.last >= total):
        return None
    return found


def seconds_to_wait(retry_after: str | None, now: float) -> float:
    """How long a server wants to be left alone, in seconds; 0 where it does not say.

    Args:
        retry_after: the header's text.
        now: seconds since the epoch.
    """
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text[:300])
    date = _seconds_of_date(text)
    return max(0.0, date - now) if date is not None else 0.0


def validator_of(headers: Mapping[str, str]) -> str:
    """What identifies this version of the file; "" where nothing does.

    A strong ETag. Else the date of the last change, if it lies so far back that there was no other
    change within its second.
    """
    if is_encoded(headers) or headers.get("Accept-Ranges", "").strip().lower() == "none":
        return ""
    etag = headers.get("ETag", "")
    if re.fullmatch(r'"[^"\r\n]*"', etag):
        return etag
    changed = headers.get("Last-Modified", "")
    at, now = _seconds_of_date(changed), _seconds_of_date(headers.get("Date", ""))
    return changed if at is not None and now is not None and now - at >= _SETTLED else ""


def still_is(validator: str, headers: Mapping[str, str]) -> bool:
    """Whether a part of a file is of the version that `validator` identifies.

    A server that does not say so may have ignored the condition.
    """
    name = "ETag" if validator.startswith('"') else "Last-Modified"
    return validator != "" and headers.get(name) == validator


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether the body is compressed, so that lengths and ranges are not those of the file."""
    return headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")


def basic_login(user: str, password: str | None) -> str:
    """The header for a login as it stands in a URL, percent-encoded. As curl does, in UTF-8."""
    login = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + b64encode(login.encode("utf-8", "replace")).decode("ascii")


def _seconds_of_date(text: str) -> float | None:
    if len(text) > 100:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None
