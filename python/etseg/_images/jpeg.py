"""JPEG files, decoded by simplejpeg, reduced where less than all is needed."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import numpy.typing as npt

from .formats import BadHeader, Header, upright_size

_Image = npt.NDArray[np.uint8]

#: A decoded image is at least so many times the model's input on both sides, if it was reduced.
#: Masks then agree with those of the whole image to a mean IoU of 0.993 (bilinear) or 0.999
#: (antialias) on the photos of the tests; the two resamplers agree with each other to 0.98.
_MARGIN = 2
#: More than any encoder writes; each makes the decoder go over the whole image once more.
_MAX_SCANS = 100
_SCAN = re.compile(rb"\xff\xda")

_DISAGREE = "its header and its pixels disagree about the size"


def decode_jpeg(data: memoryview, header: Header, input_size: tuple[int, int] | None) -> _Image:
    """The pixels as they are stored, (H, W, 3) red first, or (H, W); or a reduction of them.

    Args:
        data: the file, contiguous.
        header: of it.
        input_size: height and width that the upright pixels are for; None for all of them.

    Raises:
        BadHeader: it is damaged, or of a kind that is not read; the message says which.
        MemoryError: the pixels do not fit into memory.
    """
    if header.several_scans and any(islice(_SCAN.finditer(data), _MAX_SCANS, None)):
        raise BadHeader(f"a JPEG of more than {_MAX_SCANS} scans")
    factor = _reduction(upright_size(header), input_size)
    # Of the sizes it can decode to, simplejpeg takes the smallest that has these: 1/factor.
    height, width = -(-header.height // factor), -(-header.width // factor)
    space = {1: "GRAY", 4: "CMYK"}.get(header.channels, "RGB")
    try:
        if _size_for_decoder(data) != (header.height, header.width):
            raise BadHeader(_DISAGREE)
        array = _decoded(data, space, height, width)
    except BadHeader:
        raise
    except ValueError as error:
        if "subsampling" in str(error):
            raise BadHeader(
                "its chroma subsampling is an unusual one, or damaged; if other programs show the "
                "image, pass PIL.Image.open(...) of it"
            ) from error
        raise BadHeader(str(error)) from error
    if array.shape[0] != height or array.shape[1] != width:
        raise BadHeader(_DISAGREE)
    # Where the size is no multiple of the factor, the last pixel stands for fewer than the others.
    # Without it, if it stands for less than half: the array then is never half a pixel off.
    array = array[: _rounded(header.height, factor), : _rounded(header.width, factor)]
    if space == "GRAY":
        return array[..., 0]
    return _rgb_of_cmyk(array) if space == "CMYK" else array


def _decoded(data: memoryview, space: str, height: int, width: int) -> _Image:
    """What the decoder makes of it; damage that leaves pixels to show is forgiven.

    Raises:
        BadHeader: it is cut off.
        ValueError: it is damaged otherwise.
    """
    import simplejpeg

    def attempt(strict: bool) -> _Image:
        return np.asarray(
            simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width, strict=strict),
            np.uint8,
        )

    try:
        return attempt(strict=True)
    except ValueError as error:
        if "premature end" in str(error).lower() or not _has_end(data):
            raise BadHeader("the image is cut off before its end") from error
        return attempt(strict=False)


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
