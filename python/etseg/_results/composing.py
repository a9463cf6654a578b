"""What is cut out of an image, and put on another background. Of the image's size, red first."""

from __future__ import annotations

import math
import re
from enum import IntEnum
from typing import get_args

import numpy as np
import numpy.typing as npt

from etseg import _native
from etseg._errors import FileMissingError, InvalidUserInputError
from etseg._images.source import source_of
from etseg._limits import Limits
from etseg._messages import brief

from .checks import within
from .choices import HAZE, Foreground
from .made import Made
from .palettes import COLOUR_NAMES, colour_of
from .pictures import Image, rgb_of

#: A background is blurred in a picture of so many pixels a side, by so many of them.
_BLUR_SIDE = 512
_BLUR = 10.0
#: At one half, edges would be as hard as without probabilities.
_MOST_HAZE = 0.45


def opacity(made: Made, labels: object, haze: object = HAZE) -> npt.NDArray[np.uint8]:
    """How much each pixel of the image is of one of the labels, (height, width), 0 to 255.

    Of the sum of their probabilities, if the maps of all were asked for, what lies between `haze`
    and 1 - `haze`, spread over all of 0 to 255; else 255 or 0. NaN is 0.

    Args:
        labels: one, several, or None for all but the background.
        haze: 0 to 0.45; at 0 the opacity is the probability itself.

    Raises:
        LabelError: there is no such label.
        InvalidUserInputError: there is none to choose, or `haze` is no such number.
    """
    from etseg._opencv import cv2

    low = within("haze", haze, _MOST_HAZE)
    plane = _probability(made, labels)
    if plane is None:
        mask = made.image_mask(*_members(made, labels))
        return np.asarray(mask * np.uint8(255), np.uint8)
    if np.isnan(plane.min()):
        plane = np.nan_to_num(plane, nan=0.0)
    height, width = made.image_size
    if plane.shape != (height, width):
        resized = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        plane = np.asarray(resized, np.float32)
    return opacity_of(plane, low)


def opacity_of(plane: npt.NDArray[np.float32], haze: float) -> npt.NDArray[np.uint8]:
    """Of probabilities (H, W): 0 up to `haze`, 255 from 1 - `haze` on, and between them evenly."""
    from etseg._opencv import cv2

    slope = 255 / (1 - 2 * haze)
    # In one pass: rounds, and makes less than 0 or more than 255 those.
    rounded = cv2.addWeighted(plane, slope, plane, 0, -slope * haze, dtype=cv2.CV_8U)
    return np.asarray(rounded, np.uint8)


def cut_out(rgb: Image, opacity: npt.NDArray[np.uint8], foreground: object) -> Image:
    """An image (H, W, 3) with its opacity, as (H, W, 4).

    Args:
        foreground: a :data:`Foreground`.

    Raises:
        InvalidUserInputError: it is none.
    """
    out = np.empty((*opacity.shape, 4), np.uint8)
    _native.compose(rgb, opacity, out, _estimates(foreground))
    return out


def on_background(
    rgb: Image,
    opacity: npt.NDArray[np.uint8],
    background: object,
    bgr: bool = False,
    foreground: object = "estimate",
) -> Image:
    """What is opaque of an image (H, W, 3), on another background: a new array.

    Args:
        rgb: the image.
        opacity: (H, W).
        background: "blur", a colour, or an image, which is scaled so that it covers all.
        bgr: whether a background that is an array is blue first.
        foreground: a :data:`Foreground`.

    Raises:
        InvalidUserInputError: `foreground` is none.
        EtsegError: whatever reading an image raises.
    """
    estimates = _estimates(foreground)
    if isinstance(background, str) and background == "blur":
        behind = _blurred(rgb, opacity)
    elif (colour := colour_of(background)) is not None:
        behind = np.broadcast_to(np.asarray(colour, np.uint8), rgb.shape)
    else:
        behind = _covering(image_behind(background, bgr), rgb.shape[0], rgb.shape[1])
    out = np.empty_like(rgb)
    _native.compose(rgb, opacity, out, estimates, behind)
    return out


def image_behind(background: object, bgr: bool = False) -> Image:
    """A background that is neither "blur" nor a colour, (H, W, 3), red first.

    Raises:
        InvalidUserInputError: numbers that are no colour.
        EtsegError: whatever reading an image raises; of a word that names no file, the message
            says that it is no colour either.
    """
    if isinstance(background, (tuple, list)):
        raise InvalidUserInputError(
            f"the background is {brief(background)}, which is no colour; expected (red, green, "
            "blue), integers 0..255"
        )
    try:
        return rgb_of(source_of(background, bgr=bgr, limits=Limits()).pixels(None))
    except FileMissingError as error:
        if not isinstance(background, str) or not re.fullmatch(r"#?\w+", background):
            raise
        raise FileMissingError(
            f"{background!r} is no colour ({', '.join(COLOUR_NAMES)}, or '#rrggbb'), nor a file"
        ) from error


def _estimates(foreground: object) -> bool:
    """Whether the foreground's colours are estimated."""
    if foreground not in get_args(Foreground):
        expected = " or ".join(map(repr, get_args(Foreground)))
        raise InvalidUserInputError(f"foreground is {foreground!r}; expected {expected}")
    return foreground == "estimate"


def _members(made: Made, labels: object) -> list[IntEnum]:
    if labels is None:
        if made.background is None:
            raise InvalidUserInputError(
                "the model has no background that could be left out; name labels: label=[...]"
            )
        return [member for member in made.labels.members if int(member) != made.background]
    members = list(made.members(labels))
    if not members:
        raise InvalidUserInputError("label names no label; name one, or several in a list")
    return members


def _probability(made: Made, labels: object) -> npt.NDArray[np.float32] | None:
    """The sum of the labels' maps; of all but the background, also 1 less that one's. Else None."""
    members = _members(made, labels)
    maps = [made.probabilities[one] for one in members if one in made.probabilities]
    if len(maps) == len(members):
        return maps[0] if len(maps) == 1 else np.sum(maps, axis=0, dtype=np.float32)
    if labels is None and made.background is not None:
        rest = made.probabilities.get(made.labels.members[made.background])
        return None if rest is None else np.asarray(1 - rest, np.float32)
    return None


def _blurred(rgb: Image, opacity: npt.NDArray[np.uint8]) -> Image:
    """The image, blurred; with what is opaque left out, so that it casts no halo."""
    from etseg._opencv import cv2

    height, width = opacity.shape
    scale = min(1.0, _BLUR_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    there = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = 1 + np.float32(1e-3) - there / 255
    total = cv2.GaussianBlur(small * share[..., None], (0, 0), _BLUR)
    total /= cv2.GaussianBlur(share, (0, 0), _BLUR)[..., None]
    coarse = np.clip(np.rint(total), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _covering(image: Image, height: int, width: int) -> Image:
    """An image scaled so that it covers that size, and cut to it around its centre."""
    from etseg._opencv import cv2

    have = image.shape[:2]
    scale = max(height / have[0], width / have[1])
    rows, columns = max(height, math.ceil(have[0] * scale)), max(width, math.ceil(have[1] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (columns, rows), interpolation=way)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.asarray(scaled[top : top + height, left : left + width], np.uint8)
