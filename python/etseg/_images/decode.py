"""Stage 0b: from the bytes of an image file to pixels, upright, no more of them than are needed.

=========  ========================  ============  ======  ========================
Format     Decoded by                Orientation   Scaled  What is tested
=========  ========================  ============  ======  ========================
JPEG       simplejpeg                EXIF          yes     baseline, progressive;
           (libjpeg-turbo)                                 grey, YCbCr, CMYK, YCCK
PNG        OpenCV                    eXIf          no      1 to 16 bits, grey,
                                                           palette, alpha, Adam7
WebP       OpenCV                    EXIF          no      lossy, lossless, alpha,
                                                           the first of several
TIFF       OpenCV                    tag 274       no      8 and 16 bits, LZW,
                                                           deflate, JPEG; first page
AVIF       OpenCV                    irot, imir    no      8 bits
GIF        OpenCV                    has none      no      the first picture
BMP        OpenCV                    has none      no      palette; from the top too
JPEG 2000  OpenCV                    has none      no      grey, colour
PNM        OpenCV                    has none      no      grey, colour
=========  ========================  ============  ======  ========================

16-bit files keep the high byte; a PNM of another largest value is scaled. Alpha is dropped; OpenCV
blends that of a TIFF onto black. Colour profiles are not applied. An image that is cut off is an
error; damage that leaves pixels to show is not, as in every viewer.

Refused, as OpenCV reads them wrongly or makes room for more than their pixels: TIFF of signed or
floating-point values, or of a tag that stands twice; AVIF put together of several pictures, and
JPEG 2000 of the standard's second part, of small code blocks or with subsampled channels.

Why two decoders: OpenCV's reduced modes are as fast as simplejpeg, but its libjpeg and libpng write
their warnings to stderr, which no setting prevents. simplejpeg says them in an exception, reads
any buffer, and leaves CMYK to us. What OpenCV gets of a PNG is written anew: see ``formats``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etseg._errors import FileReadError, InvalidUserInputError, OutOfMemoryError

from .formats import BadHeader, Header, View, read_header, upright_size

_Image = npt.NDArray[np.uint8]

#: A decoded image is at least so many times the model's input on both sides, if it was reduced.
#: Masks then agree with those of the whole image to a mean IoU of 0.993 (bilinear) or 0.999
#: (antialias) on the photos of the tests; the two resamplers agree with each other to 0.98.
_MARGIN = 2
#: More than any encoder writes; each makes the decoder go over the whole image once more.
_MAX_SCANS = 100
_SCAN = re.compile(rb"\xff\xda")


class Pixels(NamedTuple):
    """A decoded image: uint8, (H, W, 3 or 4) or (H, W)."""

    array: _Image
    bgr: bool  # the order of the channels; OpenCV's is blue first
    size: tuple[int, int]  # height and width of the whole image; the array may be a reduction of it


def decode(
    data: memoryview, origin: str, max_pixels: int, input_size: tuple[int, int] | None
) -> Pixels:
    """The pixels of an encoded image, from a contiguous view of its bytes.

    Args:
        origin: how messages call the image.
        max_pixels: by the header, before anything is decoded.
        input_size: height and width that the pixels are for: a JPEG may then be decoded at 1/2,
            1/4 or 1/8 of its size, as long as twice as many are left. None: in full.

    Raises:
        FileReadError: no image, or a damaged one.
        InvalidUserInputError: more than `max_pixels`.
        OutOfMemoryError: the pixels do not fit into memory.
    """
    if not data:
        raise FileReadError(f"cannot decode {origin}: it is empty")
    header = _header(data, origin)
    if header.height * header.width > max_pixels:
        raise InvalidUserInputError(
            f"{origin} has {header.width}x{header.height} pixels, more than the {max_pixels:,} of "
            "Limits.max_pixels; if you trust it, ImageSegmentationModule(limits=etseg.Limits("
            "max_pixels=...)) takes it"
        )
    try:
        if header.format == "JPEG":
            array, bgr = _decode_jpeg(data, header, origin, input_size), False
        else:
            array, bgr = _decode_other(data, header, origin), True
    except BadHeader as error:
        raise _damaged(data, origin, error) from None
    except MemoryError as error:
        raise OutOfMemoryError(
            f"no memory to decode {origin}, {header.width}x{header.height} pixels"
        ) from error
    return Pixels(_upright(array, header.orientation), bgr, upright_size(header))


def _header(data: memoryview, origin: str) -> Header:
    try:
        header = read_header(View(data))
    except BadHeader as error:
        raise _damaged(data, origin, error) from None
    if header is None:
        raise _damaged(data, origin, BadHeader())
    return header


def _damaged(data: memoryview, origin: str, error: BadHeader) -> FileReadError:
    why = str(error) or (
        "it is no image of a known format (JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, "
        f"PNM), or a damaged one; it starts with {bytes(data[:8])!r}"
    )
    return FileReadError(f"cannot decode {origin}: {why}")


def _decode_jpeg(
    data: memoryview, header: Header, origin: str, input_size: tuple[int, int] | None
) -> _Image:
    import simplejpeg

    if header.several_scans and any(islice(_SCAN.finditer(data), _MAX_SCANS, None)):
        raise FileReadError(f"cannot decode {origin}: a JPEG of more than {_MAX_SCANS} scans")
    factor = _reduction(upright_size(header), input_size)
    # Of the sizes it can decode to, simplejpeg takes the smallest that has these: 1/factor.
    height, width = -(-header.height // factor), -(-header.width // factor)
    space = {1: "GRAY", 4: "CMYK"}.get(header.channels, "RGB")

    def attempt(strict: bool) -> _Image:
        return np.asarray(
            simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width, strict=strict),
            np.uint8,
        )

    try:
        if _size_for_decoder(data) != (header.height, header.width):
            raise _disagreeing(origin)
        try:
            array = attempt(strict=True)
        except ValueError as error:
            if "premature end" in str(error).lower() or not _has_end(data):
                raise _cut_off(origin) from error
            array = attempt(strict=False)
    except ValueError as error:
        if "subsampling" in str(error):
            raise FileReadError(
                f"cannot decode {origin}: its chroma subsampling is an unusual one, or damaged; "
                "if other programs show the image, pass PIL.Image.open(...) of it"
            ) from error
        raise FileReadError(f"cannot decode {origin}: {error}") from error
    if array.shape[0] != height or array.shape[1] != width:
        raise _disagreeing(origin)
    # Where the size is no multiple of the factor, the last pixel stands for fewer than the others.
    # Without it, if it stands for less than half: the array then is never half a pixel off.
    array = array[: _rounded(header.height, factor), : _rounded(header.width, factor)]
    if space == "GRAY":
        return array[..., 0]
    return _rgb_of_cmyk(array) if space == "CMYK" else array


def _size_for_decoder(data: memoryview) -> tuple[int, int]:
    """Height and width that the decoder makes room for: it is asked, before it does."""
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except KeyError as error:  # one that libjpeg-turbo has no name for
        raise ValueError("unknown subsampling") from error
    return height, width


def _reduction(size: tuple[int, int], input_size: tuple[int, int] | None) -> int:
    if input_size is None:
        return 1
    room = min(have // (_MARGIN * need) for have, need in zip(size, input_size, strict=True))
    return next((factor for factor in (8, 4, 2) if factor <= room), 1)


def _rounded(length: int, factor: int) -> int:
    return (length + factor // 2) // factor


def _rgb_of_cmyk(cmyk: _Image) -> _Image:
    """Of the inverted values that every program writes into JPEG files: 255 is no ink."""
    product = cmyk[..., :3].astype(np.uint16)
    product *= cmyk[..., 3:]
    product += 127
    product //= 255
    return product.astype(np.uint8)


def _has_end(data: memoryview) -> bool:
    """Whether the end marker is there. The decoder fills what is missing with grey.

    It may have bytes behind it; that of a thumbnail stands before the scan. Inside a scan 0xff is
    followed by neither 0xd9 nor 0xda.
    """
    if bytes(data[-2:]) == b"\xff\xd9":
        return True
    whole = data.tobytes()
    return whole.rfind(b"\xff\xd9") > whole.rfind(b"\xff\xda")


def _decode_other(data: memoryview, header: Header, origin: str) -> _Image:
    from etseg._opencv import cv2  # 100 ms to import: only when there is something to decode

    if header.essentials:
        data = memoryview(header.essentials())
    elif header.format == "WebP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise _cut_off(origin)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    scaled = header.maxval not in (255, 65535)
    if scaled:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        with quiet():
            array = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise FileReadError(f"cannot decode {origin}: {error.err or error}") from error
    if array is None:
        raise FileReadError(
            f"cannot decode {origin}: a damaged {header.format}, or one of a kind that OpenCV "
            f"{cv2.__version__} does not read"
        )
    if array.shape[:2] != (header.height, header.width):
        raise FileReadError(
            f"cannot decode {origin}: its header says {header.width}x{header.height} pixels, but "
            f"it has {array.shape[1]}x{array.shape[0]}"
        )
    return _scaled(array, header.maxval) if scaled else np.asarray(array, np.uint8)


def _scaled(array: npt.NDArray[Any], maxval: int) -> _Image:
    """From 0..maxval to 0..255; what is above the largest value is white."""
    table = np.arange(256 if maxval < 256 else 65536, dtype=np.uint32)
    table = (np.minimum(table, maxval) * 255 + maxval // 2) // maxval
    scaled: _Image = table.astype(np.uint8)[array]
    return scaled


def _disagreeing(origin: str) -> FileReadError:
    return FileReadError(
        f"cannot decode {origin}: its header and its pixels disagree about the size"
    )


def _cut_off(origin: str) -> FileReadError:
    return FileReadError(f"cannot decode {origin}: the image is cut off before its end")


def _upright(array: _Image, orientation: int) -> _Image:
    """A view, turned as EXIF says."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


_quiet_lock = threading.Lock()
_quiet_calls = 0
_loud_level = 0


@contextmanager
def quiet() -> Iterator[None]:
    """OpenCV's log is silent while any call is in here, and then as it was before."""
    global _quiet_calls, _loud_level
    with _quiet_lock:
        if _quiet_calls == 0:
            _loud_level = _set_log_level(0)  # LOG_LEVEL_SILENT
        _quiet_calls += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_calls -= 1
            if _quiet_calls == 0:
                _set_log_level(_loud_level)


def _set_log_level(level: int) -> int:
    """Sets OpenCV's and returns what it was."""
    from etseg._opencv import cv2

    if hasattr(cv2, "setLogLevel"):  # until 4.12
        return int(cv2.setLogLevel(level))
    from cv2.utils import logging as log

    return int(log.setLogLevel(level))
