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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from etseg._errors import FileReadError, InvalidUserInputError, OutOfMemoryError

from .formats import BadHeader, Header, View, read_header, upright_size
from .jpeg import decode_jpeg
from .other import decode_other

_Image = npt.NDArray[np.uint8]


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
            array, bgr = decode_jpeg(data, header, input_size), False
        else:
            array, bgr = decode_other(data, header), True
    except BadHeader as error:
        raise _damaged(data, origin, error) from error.__cause__
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
    return FileReadError(f"cannot decode {origin}: {str(error) or _what_it_is(bytes(data[:64]))}")


def _what_it_is(head: bytes) -> str:
    """That is no image, or a damaged one, by how it begins."""
    from .formats.foreign import kind_of

    if (known := kind_of(head)) is not None:
        return f"it is no image of a known format, but {known}"
    return (
        "it is no image of a known format (JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, "
        f"PNM), or a damaged one; it starts with {head[:8]!r}"
    )


def _upright(array: _Image, orientation: int) -> _Image:
    """A view, turned as EXIF says."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
