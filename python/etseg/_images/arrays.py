"""Arrays, and what becomes one: PIL images and everything else with ``__array__``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._errors import EtsegError, FileReadError, InvalidUserInputError, OutOfMemoryError

from .decode import Pixels
from .text import EXPECTED


def pixels_of(array: npt.NDArray[Any], bgr: bool) -> Pixels:
    """The array as it lies in memory.

    Raises:
        InvalidUserInputError: another shape or type; the message has a hint.
    """
    checked = _checked(array)
    return Pixels(checked, bgr, (checked.shape[0], checked.shape[1]))


def is_array(image: object) -> bool:
    """Whether NumPy would take it for an array, and not for a scalar."""
    return hasattr(image, "__array_interface__") or hasattr(image, "__array__")


def as_array(image: object) -> npt.NDArray[Any]:
    """The array that an object says it is.

    Raises:
        InvalidUserInputError: it does not become one.
    """
    try:
        return np.asarray(image)
    except EtsegError:  # of the image's own __array__, and told there
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidUserInputError(
            f"the {type(image).__name__} given does not become an array: {error}; {EXPECTED}"
        ) from error


def is_pil(image: object) -> bool:
    """Whether it is a PIL image, of a plugin's own class too. Does not import PIL."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def pil_array(image: Any, max_pixels: int) -> npt.NDArray[Any]:
    """As a person sees it: orientation applied, palettes resolved.

    Raises:
        FileReadError: PIL cannot decode it.
        InvalidUserInputError: it has more pixels than `max_pixels`, or a mode of no set range.
        OutOfMemoryError: the pixels do not fit into memory.
    """
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
    except MemoryError as error:
        raise OutOfMemoryError(
            f"no memory for the PIL image, {image.width}x{image.height} pixels"
        ) from error
    except Exception as error:  # decoded only now, by a plugin that may raise anything
        raise FileReadError(
            f"PIL cannot decode the image: {type(error).__name__}: {error}"
        ) from error


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
