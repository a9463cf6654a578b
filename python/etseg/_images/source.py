"""Stage 0a: from whatever a caller calls an image to an array, or to bytes for ``decode``.

What a string is, in this order: ``scheme://``, ``data:``, the path of an existing file, base64 of
an encoded image; what is none of these names a file that is not there. Arrays and bytes are used
where they lie.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from types import CoroutineType

import numpy as np

from etseg._errors import InvalidUserInputError
from etseg._limits import Limits
from etseg._messages import brief, shown
from etseg._reading import unreadable
from etseg._uris import path_of_file_uri, scheme_of

from .arrays import is_array, is_pil
from .formats import is_known
from .kinds import (
    ArraySource,
    BytesSource,
    FileSource,
    ImageSource,
    StreamSource,
    TextSource,
    UrlSource,
)
from .opened import OpenedSource
from .text import EXPECTED, is_data_uri, of_base64

#: The longest name of a path, on every system that matters.
_MAX_PATH = 4096

_SEVERAL = "; one image at a time: for several there is ImageSegmentationModule.map"
#: What is often behind an image that is none.
_HINTS: dict[type, str] = {
    type(None): "; OpenCV's imread returns None where it cannot read a file: give the path instead",
    list: _SEVERAL,
    tuple: _SEVERAL,
}


def source_of(
    image: object,
    *,
    bgr: bool = False,
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> ImageSource:
    """Says what an image is, of all that forward() takes. Reads nothing yet, and calls nothing.

    Args:
        bgr: whether arrays are blue first. Files and PIL images know their order themselves.
        limits: for encoded images and downloads.

    Raises:
        FileMissingError: a string that names no file, and is nothing else either.
        FileReadError: the system does not let us look at the file.
        InvalidUserInputError: it is no image; the message says what was tried.
    """
    given = _given(image, bgr, limits)
    if given is not None:
        return given
    if callable(image) and not isinstance(image, type):
        return OpenedSource(image, partial(_opened, bgr=bgr, limits=limits))
    raise InvalidUserInputError(
        f"the image is a {type(image).__name__}; {EXPECTED}{_HINTS.get(type(image), '')}"
    )


def _opened(image: object, bgr: bool, limits: Limits) -> ImageSource:
    """What a function has opened, which is no function again."""
    given = _given(image, bgr, limits)
    if given is None:
        if isinstance(image, CoroutineType):
            image.close()  # nobody awaits it, of which Python would warn
        raise InvalidUserInputError(
            f"the function that opens the image returned a {type(image).__name__}; {EXPECTED}"
            f"{_HINTS.get(type(image), '')}"
        )
    return given


def _given(image: object, bgr: bool, limits: Limits) -> ImageSource | None:
    """An image that is there, and not to be opened first; None of what is none."""
    if isinstance(image, str):
        return _of_text(image, limits)
    if isinstance(image, os.PathLike):
        return FileSource(Path(os.fsdecode(image)), limits)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return BytesSource(image, "the bytes given", limits)
    if isinstance(image, np.ndarray) or is_pil(image) or is_array(image):
        return ArraySource(image, bgr, limits)
    if callable(getattr(image, "read", None)):
        return StreamSource(image, limits)
    return None


def _of_text(text: str, limits: Limits) -> ImageSource:
    scheme = scheme_of(text)
    if scheme == "file":
        return FileSource(path_of_file_uri(text), limits)
    if scheme in ("http", "https"):
        return UrlSource(text, limits)
    if scheme == "hf":
        return UrlSource(_of_hub(text), limits)
    if scheme is not None:
        raise InvalidUserInputError(f"{shown(text)} has the scheme {scheme!r}; {EXPECTED}")
    if is_data_uri(text):
        return TextSource(text, limits)
    if not text or text.isspace():
        raise InvalidUserInputError(f"the image is an empty string; {EXPECTED}")
    why: OSError | ValueError | None = None
    if len(text) <= _MAX_PATH:  # base64 is longer than a path may be
        try:
            Path(text).stat()
            return FileSource(Path(text), limits)
        except (OSError, ValueError) as error:
            why = error
    decoded = of_base64(text)
    if decoded is not None and is_known(memoryview(decoded)):
        return TextSource(text, limits)
    if isinstance(why, OSError) and why.errno != errno.ENAMETOOLONG:
        missing = unreadable(text, "image", why)
        raise (
            missing
            if decoded is None
            else type(missing)(f"{missing}; nor is it base64 of an image of a known format")
        )
    what = (
        "no URI, no existing file, and not base64"
        if decoded is None
        else ("base64, but of no known image format")
    )
    raise InvalidUserInputError(f"{brief(text)} is {what}; {EXPECTED}")


def _of_hub(reference: str) -> str:
    from etseg._download.hub import url_of_reference

    try:
        return url_of_reference(reference)
    except ValueError as error:
        raise InvalidUserInputError(f"{shown(reference)} names no file: {error}") from None
