"""Images that are written as text: data URIs, and base64 without one."""

from __future__ import annotations

from etseg._errors import InvalidUserInputError
from etseg._messages import brief

EXPECTED = (
    "expected a path, a file:// URI, an http(s) or hf:// URL, a data: URI, base64, the bytes of an "
    "image file or a file opened for reading them, a uint8 array (H, W, 3), (H, W, 4) or (H, W), "
    "a PIL image, or a function that returns one of these"
)

_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def is_data_uri(text: str) -> bool:
    """Whether it begins as a data URI does."""
    return text[:5].lower() == "data:"


def of_data_uri(uri: str) -> bytes:
    """The bytes that a data URI carries, whatever type it says they have.

    Raises:
        InvalidUserInputError: the URI is malformed.
    """
    header, comma, payload = uri[5:].partition(",")
    if not comma:
        raise InvalidUserInputError(f"{brief(uri)} is no data URI: it has no comma")
    from urllib.parse import unquote_to_bytes  # here: few images are text

    try:
        plain = unquote_to_bytes(payload) if "%" in payload else payload.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidUserInputError(
            f"{brief(uri)} is no data URI: behind its comma are characters beyond ASCII"
        ) from None
    parameters = [parameter.strip().lower() for parameter in header.split(";")]
    if "base64" not in parameters[1:]:
        return plain
    data = of_base64(plain)
    if data is None:
        raise InvalidUserInputError(f"{brief(uri)} is not valid base64 behind its comma")
    return data


def of_base64(text: str | bytes) -> bytes | None:
    """Of either alphabet, with white space and without padding if need be. None: it is none."""
    import base64  # as above
    from urllib.parse import unquote_to_bytes

    try:
        if isinstance(text, str):
            text = unquote_to_bytes(text) if "%" in text else text.encode("ascii")
        compact = text.translate(_URL_SAFE, b" \t\r\n\f\v").rstrip(b"=")
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except ValueError:
        return None
