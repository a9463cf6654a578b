"""Stage 0a: from whatever a caller calls an image to an array, or to bytes for ``_decode``.

What a string is, in this order: ``scheme://``, ``data:``, the path of an existing file, base64 of
an encoded image. Arrays and bytes are used where they lie.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from etseg._errors import EtsegError, FileReadError, InvalidUserInputError
from etseg._limits import Limits
from etseg._uris import path_of_file_uri, scheme_of

from .decode import Pixels, decode
from .header import is_known

_EXPECTED = (
    "expected a path, a file:// URI, an http(s) URL, a data: URI, base64, the bytes of an image "
    "file or a file opened for reading them, a uint8 array (H, W, 3), (H, W, 4) or (H, W), or a "
    "PIL image"
)
#: From the height and width that pixels are for, None for all of them, to the pixels.
PixelsFor = Callable[["tuple[int, int] | None"], Pixels]

_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def read_pixels(
    image: object,
    *,
    bgr: bool = False,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    input_size: tuple[int, int] | None = None,
) -> Pixels:
    """The pixels of an image: what :func:`read_source` returns, called. Raises what both do.

    Args:
        input_size: height and width that the pixels are for; less may be decoded then. None: all.
    """
    return read_source(image, bgr=bgr, limits=limits)(input_size)


def read_source(
    image: object,
    *,
    bgr: bool = False,
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> PixelsFor:
    """Reads an image, of any kind that forward() takes. Arrays are not copied.

    Args:
        bgr: whether arrays are blue first. Files and PIL images know their order themselves.
        limits: for encoded images and downloads.

    Returns:
        a function from the height and width that the pixels are for, or None, to the pixels. It
        may be called again, and raises what :func:`etseg._images.decode.decode` does.

    Raises:
        FileReadError: the file cannot be read.
        DownloadError: the URL cannot be had within the limits.
        InvalidUserInputError: the argument is no image; the message says what was tried.
    """
    if not isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview)):
        pixels = None
        if isinstance(image, np.ndarray):
            pixels = _pixels(image, bgr)
        elif type(image).__module__.partition(".")[0] == "PIL":
            pixels = _pixels(_pil_array(image, limits.max_pixels), bgr=False)
        elif hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
            pixels = _pixels(_as_array(image), bgr)
        if pixels is not None:
            return lambda _: pixels
    data, origin = _encoded(image, limits)
    return partial(decode, _flat(data), origin, limits.max_pixels)


def _encoded(image: object, limits: Limits) -> tuple[bytes | bytearray | memoryview, str]:
    """The bytes of an image file, and how messages call them."""
    if isinstance(image, str):
        return _of_text(image, limits)
    if isinstance(image, os.PathLike):
        path = os.fspath(image)
        return _of_file(Path(os.fsdecode(path)))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return image, "the bytes given"
    if callable(getattr(image, "read", None)):
        return _of_stream(image)
    raise InvalidUserInputError(f"the image is a {type(image).__name__}; {_EXPECTED}")


def _of_text(text: str, limits: Limits) -> tuple[bytes, str]:
    scheme = scheme_of(text)
    if scheme == "file":
        return _of_file(path_of_file_uri(text))
    if scheme in ("http", "https"):
        from etseg._download.http import read_url  # with an HTTP library behind it

        data = read_url(
            text,
            max_bytes=limits.max_download_bytes,
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.read_timeout,
            max_redirects=limits.max_redirects,
        )
        return data, _shown(text)
    if scheme is not None:
        raise InvalidUserInputError(f"{_shown(text)} has the scheme {scheme!r}; {_EXPECTED}")
    if text[:5].lower() == "data:":
        return _of_data_uri(text), "the data URI"
    if not text:
        raise InvalidUserInputError(f"the image is an empty string; {_EXPECTED}")
    if _is_file(text):
        return _of_file(Path(text))
    decoded = _from_base64(text)
    if decoded is not None and is_known(memoryview(decoded)):
        return decoded, "the base64 string"
    why = (
        "base64, but of no known image format"
        if decoded
        else "no URI, no existing file, and not base64"
    )
    raise InvalidUserInputError(f"{_shown(text)} is {why}; {_EXPECTED}")


def _of_file(path: Path) -> tuple[bytes, str]:
    try:
        return path.read_bytes(), repr(str(path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise FileReadError(f"cannot read the image {str(path)!r}: {why}") from error


def _of_stream(stream: Any) -> tuple[bytes | bytearray | memoryview, str]:
    """From where the stream stands to its end."""
    name = f"the {type(stream).__name__} given"
    try:
        data = stream.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed, or text in another encoding
        raise FileReadError(f"cannot read {name}: {error}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidUserInputError(
            f"read() of {name} returned a {type(data).__name__}; expected bytes: open files with "
            "mode 'rb'"
        )
    return data, name


def _flat(data: bytes | bytearray | memoryview) -> memoryview:
    """A view of single bytes; a copy only of a view that has gaps."""
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # base64 is longer than a path may be
        return False


def _of_data_uri(uri: str) -> bytes:
    header, comma, payload = uri[5:].partition(",")
    if not comma:
        raise InvalidUserInputError(f"{_shown(uri)} is no data URI: it has no comma")
    try:
        plain = unquote_to_bytes(payload) if "%" in payload else payload.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidUserInputError(
            f"{_shown(uri)} is no data URI: behind its comma are characters beyond ASCII"
        ) from None
    parameters = [parameter.strip().lower() for parameter in header.split(";")]
    if "base64" not in parameters[1:]:
        return plain
    data = _from_base64(plain)
    if data is None:
        raise InvalidUserInputError(f"{_shown(uri)} is not valid base64 behind its comma")
    return data


def _from_base64(text: str | bytes) -> bytes | None:
    """Of either alphabet, with white space and without padding if need be."""
    try:
        if isinstance(text, str):
            text = unquote_to_bytes(text) if "%" in text else text.encode("ascii")
        compact = text.translate(_URL_SAFE, b" \t\r\n\f\v").rstrip(b"=")
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _as_array(image: object) -> npt.NDArray[Any]:
    try:
        return np.asarray(image)
    except EtsegError:  # of the image's own __array__, and told there
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidUserInputError(
            f"the {type(image).__name__} given does not become an array: {error}; {_EXPECTED}"
        ) from error


def _pixels(array: npt.NDArray[Any], bgr: bool) -> Pixels:
    checked = _checked(array)
    return Pixels(checked, bgr, (checked.shape[0], checked.shape[1]))


def _pil_array(image: Any, max_pixels: int) -> npt.NDArray[Any]:
    """As a person sees it: orientation applied, palettes resolved."""
    from PIL import ImageOps

    if image.width * image.height > max_pixels:  # it may not be decoded yet
        raise InvalidUserInputError(
            f"the PIL image has {image.width}x{image.height} pixels, more than the "
            f"{max_pixels:,} of Limits.max_pixels"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):  # PIL's own conversion cuts off at 255
            return (np.asarray(upright) >> 8).astype(np.uint8)
        if upright.mode in ("I", "F"):
            raise InvalidUserInputError(
                f"the PIL image has mode {upright.mode!r}, whose values have no set range; convert "
                "it to 'L' or 'RGB' as they are meant"
            )
        if upright.mode not in ("RGB", "RGBA", "L"):
            upright = upright.convert("RGB")
        return np.asarray(upright)
    except EtsegError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # PIL decodes lazily
        raise FileReadError(f"PIL cannot decode the image: {error}") from error


def _checked(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    shape = array.shape
    if array.ndim not in (2, 3) or 0 in shape or (array.ndim == 3 and shape[2] not in (3, 4)):
        hint = ""
        if array.ndim == 3 and shape[0] in (3, 4):
            hint = "; move the channels last: array.transpose(1, 2, 0)"
        elif array.ndim == 4 and shape[0] == 1:
            hint = "; one image at a time: array[0]"
        elif array.ndim == 3 and shape[2] == 1:
            hint = "; grey images have no channel axis: array[..., 0]"
        raise _bad_array(array, hint)
    if array.dtype != np.uint8:
        hints = {
            "f": "; values in 0..1 become uint8 by (array * 255).round().astype(np.uint8)",
            "u": "; say which 8 bits you mean: (array >> 8).astype(np.uint8) takes the high ones",
        }
        raise _bad_array(array, hints.get(array.dtype.kind, ""))
    return array


def _bad_array(array: npt.NDArray[Any], hint: str) -> EtsegError:
    return InvalidUserInputError(
        f"the image is an array {array.shape} {array.dtype}; expected uint8 of shape (H, W, 3), "
        f"(H, W, 4) or (H, W), red first, not empty{hint}"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
