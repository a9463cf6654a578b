"""Pictures of a result: what a person wants to look at. Of the image's size, red first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from etseg._images.decode import Pixels

from .palettes import Colours

Image = npt.NDArray[np.uint8]

#: Rows that are looked up at once where there are more than 256 labels: numpy makes 8 bytes of
#: each pixel.
_BAND = 64


def rgb_of(pixels: Pixels) -> Image:
    """The pixels as (H, W, 3), red first, contiguous; not a copy if they are."""
    from etseg._opencv import cv2

    array = pixels.array
    if array.ndim == 2:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_GRAY2RGB), np.uint8)
    if pixels.bgr:
        code = cv2.COLOR_BGR2RGB if array.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(array), code), np.uint8)
    return np.ascontiguousarray(array[..., :3])


def blue_first(picture: Image) -> Image:
    """A picture whose red is first, (H, W, 3) or (H, W, 4), as OpenCV has it: a new array."""
    from etseg._opencv import cv2

    code = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)


def coloured(indices: npt.NDArray[Any], colours: Colours) -> Image:
    """Label indices (H, W) as colours (H, W, 4): red, green, blue, and 255 where painted, else 0.

    What is not painted is 0 in all four.
    """
    from etseg._opencv import cv2

    table = np.zeros((max(len(colours.rgb), 256), 4), np.uint8)
    table[: len(colours.rgb), :3] = colours.rgb
    table[: len(colours.rgb), 3] = np.where(colours.painted, 255, 0)
    words = table.view(np.int32)[:, 0]  # a pixel a number: only moved, never computed with
    if len(words) == 256:
        found = np.asarray(cv2.LUT(indices.astype(np.uint8, copy=False), words[None]), np.int32)
    else:
        found = np.empty(indices.shape, np.int32)
        for start in range(0, len(indices), _BAND):
            band = slice(start, start + _BAND)
            np.take(words, indices[band], out=found[band])
    return found.reshape(indices.shape).view(np.uint8).reshape(*indices.shape, 4)


def painted(
    rgb: Image, indices: npt.NDArray[Any], colours: Colours, alpha: float, outline: bool
) -> Image:
    """An image (H, W, 3) with its labels painted over it: a new array.

    Args:
        rgb: the image.
        indices: label indices (H, W).
        colours: of the labels. What is not painted stays as it is.
        alpha: of the colour, 0..1; 1 - alpha of the image.
        outline: a white line between labels, so that one can be seen on something of its own
            colour.
    """
    from etseg._opencv import cv2

    rgba = coloured(indices, colours)
    colour = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    picture = cv2.addWeighted(rgb, 1.0 - alpha, colour, alpha, 0.0, dst=colour)
    plain = np.ascontiguousarray(rgba[..., 3]) == 0
    cv2.copyTo(rgb, plain.view(np.uint8), picture)
    if outline:
        picture[_edges(indices)] = 255
    return np.asarray(picture, np.uint8)


def _edges(indices: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    from etseg._opencv import cv2

    small = indices.dtype == np.uint8 or int(indices.max()) < 256
    thickness = max(2, 1 + round(min(indices.shape) / 300))
    gradient = cv2.morphologyEx(
        indices.astype(np.uint8 if small else np.float32, copy=False),
        cv2.MORPH_GRADIENT,
        np.ones((thickness, thickness), np.uint8),
    )
    return np.asarray(gradient > 0)
