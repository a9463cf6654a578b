"""Stage 0: from whatever a caller calls an image to pixels.

What a string is, in this order: ``scheme://``, ``data:``, the path of an existing file, base64 of
an encoded image. Encoded images are decoded to 8 bits, three channels, with their EXIF orientation
applied; 16-bit files keep the high byte; alpha is dropped; grey is repeated.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from ._errors import DownloadError, EtsegError, FileReadError, InvalidUserInputError
from ._uris import path_of_file_uri, scheme_of

_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"RIFF",  # WebP
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"GIF8",
    b"\x00\x00\x00\x0cjP",  # JPEG 2000
    b"\xff\x4f\xff\x51",
)
_EXPECTED = (
    "expected a path, a file:// URI, a data: URI, base64, the bytes of an image file, a uint8 "
    "array (H, W, 3), (H, W, 4) or (H, W), or a PIL image"
)


class Pixels(NamedTuple):
    """A decoded image: uint8, (H, W, 3 or 4) or (H, W)."""

    array: npt.NDArray[np.uint8]
    bgr: bool  # the order of the channels; OpenCV's is blue first

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.array.shape[0], self.array.shape[1]


def read_pixels(image: object) -> Pixels:
    """The pixels of an image, of any kind that forward() takes. Arrays are not copied.

    Raises:
        FileReadError: the file cannot be read, or its content cannot be decoded.
        InvalidUserInputError: the argument is no image; the message says what was tried.
    """
    if isinstance(image, np.ndarray):
        return Pixels(_checked(image), bgr=False)
    if isinstance(image, str):
        return _read_text(image)
    if isinstance(image, os.PathLike):
        return _read_file(Path(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _decode(image, "the bytes given")
    if type(image).__module__.partition(".")[0] == "PIL":
        return Pixels(_checked(_pil_array(image)), bgr=False)
    if hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        return Pixels(_checked(np.asarray(image)), bgr=False)
    raise InvalidUserInputError(f"the image is a {type(image).__name__}; {_EXPECTED}")


def _read_text(text: str) -> Pixels:
    scheme = scheme_of(text)
    if scheme == "file":
        return _read_file(path_of_file_uri(text))
    if scheme in ("http", "https"):
        raise DownloadError(
            f"this version of etseg does not download images yet: {_shown(text)}. Fetch it "
            "yourself and pass its bytes"
        )
    if scheme is not None:
        raise InvalidUserInputError(f"{_shown(text)} has the scheme {scheme!r}; {_EXPECTED}")
    if text[:5].lower() == "data:":
        return _decode(_data_of_uri(text), "the data URI")
    if _is_file(text):
        return _read_file(Path(text))
    data = _from_base64(text)
    if data is not None and data.startswith(_SIGNATURES):
        return _decode(data, "the base64 string")
    why = "base64 of no known image format" if data else "no URI, no existing file, and not base64"
    raise InvalidUserInputError(f"{_shown(text)} is {why}; {_EXPECTED}")


def _read_file(path: Path) -> Pixels:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise FileReadError(f"cannot read the image {str(path)!r}: {why}") from error
    return _decode(data, repr(str(path)))


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # base64 is longer than a path may be
        return False


def _data_of_uri(uri: str) -> bytes:
    header, comma, payload = uri[5:].partition(",")
    if not comma:
        raise InvalidUserInputError(f"{_shown(uri)} is no data URI: it has no comma")
    if header.lower().rstrip().endswith(";base64"):
        data = _from_base64(payload)
        if data is None:
            raise InvalidUserInputError(f"{_shown(uri)} is not valid base64 behind its comma")
        return data
    return unquote_to_bytes(payload)


def _from_base64(text: str) -> bytes | None:
    """Of either alphabet, with white space and without padding if need be."""
    compact = "".join(text.split()).replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    compact = compact.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _decode(data: bytes | bytearray | memoryview, origin: str) -> Pixels:
    import cv2  # 100 ms to import: only when there is something to decode

    encoded = np.frombuffer(data, np.uint8)
    if encoded.size == 0:
        raise FileReadError(f"cannot decode {origin}: it is empty")
    if not _is_complete(bytes(data) if not isinstance(data, bytes) else data):
        raise FileReadError(f"cannot decode {origin}: the image is cut off before its end")
    try:
        array = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise FileReadError(f"cannot decode {origin}: {error.err or error}") from error
    if array is None:
        raise FileReadError(
            f"cannot decode {origin}: it is no image of a known format (JPEG, PNG, WebP, BMP, "
            f"TIFF, ...), or a damaged one; it starts with {encoded[:8].tobytes()!r}"
        )
    return Pixels(np.asarray(array, np.uint8), bgr=True)


def _is_complete(data: bytes) -> bool:
    """Whether the end of the image is there. OpenCV fills what is missing with grey."""
    if data.startswith(b"\xff\xd8\xff"):
        # The end marker may have bytes behind it; that of a thumbnail stands before the scan.
        # Inside a scan 0xff is followed by neither 0xd9 nor 0xda.
        end, scan = b"\xff\xd9", b"\xff\xda"
        return data.endswith(end) or data.rfind(end) > data.rfind(scan)
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") > 0
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    return True


def _pil_array(image: Any) -> npt.NDArray[Any]:
    """As a person sees it: orientation applied, palettes resolved."""
    from PIL import ImageOps

    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode not in ("RGB", "RGBA", "L"):
            upright = upright.convert("RGB")
        return np.asarray(upright)
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
