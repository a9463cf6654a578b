"""Pictures of a result: what a person wants to look at."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._decode import Pixels
from ._errors import FileWriteError, InvalidUserInputError

Image = npt.NDArray[np.uint8]


def voc_palette(size: int) -> Image:
    """Pascal VOC's colours, uint8 (size, 3), red first.

    Entry i spreads the bits of i over the three channels, three at a time, from the highest bit
    of a channel down (the VOC development kit's colour map).
    """
    index = np.arange(size)
    palette = np.zeros((size, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return palette


def overlay(
    pixels: Pixels, argmax: npt.NDArray[Any], background: int | None, alpha: float = 0.5
) -> Image:
    """The image with every label but `background` painted over it: uint8 (H, W, 3), blue first.

    `argmax` decides the size; the image is brought to it.
    """
    import cv2

    bgr = _three_channels_bgr(pixels)
    height, width = argmax.shape
    if pixels.size != (height, width):
        bgr = np.asarray(cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    # VOC's first colour is black, which suits no label but a background.
    first = 0 if background == 0 else 1
    colours = voc_palette(int(argmax.max()) + 1 + first)[first:, ::-1]
    painted = np.asarray(cv2.addWeighted(bgr, 1.0 - alpha, colours[argmax], alpha, 0.0), np.uint8)
    if background is not None:
        np.copyto(painted, bgr, where=(argmax == background)[..., None])
    # A white outline, so that a label can be seen on something of its own colour.
    thickness = 1 + round(min(height, width) / 300)
    kernel = np.ones((thickness, thickness), np.uint8)
    edge = cv2.morphologyEx(argmax.astype(np.float32), cv2.MORPH_GRADIENT, kernel) > 0
    painted[edge] = 255
    return painted


def _three_channels_bgr(pixels: Pixels) -> Image:
    array = pixels.array
    if array.ndim == 2:
        return np.repeat(array[..., None], 3, axis=2)
    three = array[..., :3]
    return np.ascontiguousarray(three if pixels.bgr else three[..., ::-1])


def write_image(path: Path, image: npt.NDArray[Any]) -> None:
    """Writes an image (H, W) or (H, W, 3), blue first, in the format that the path's ending says.

    Whole or not at all: what stood at the path before stays until the new file is complete.

    Raises:
        InvalidUserInputError: OpenCV knows no format of that ending.
        FileWriteError: the file cannot be written.
    """
    import cv2

    try:
        done, encoded = cv2.imencode(path.suffix or "(none)", image)
    except cv2.error as error:
        raise InvalidUserInputError(
            f"cannot write {str(path)!r}: no image format has the ending {path.suffix!r}; use .png"
        ) from error
    if not done:
        raise FileWriteError(f"cannot encode {str(path)!r} as an image")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileWriteError(f"cannot write {str(path)!r}: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encoded.tobytes())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's files are private
        temporary.replace(path)
    except OSError as error:
        temporary.unlink()
        raise FileWriteError(f"cannot write {str(path)!r}: {error.strerror}") from error
