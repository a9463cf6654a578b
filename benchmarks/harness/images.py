"""The photograph in the sizes that are measured."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

SIZES = {"640x480": (480, 640), "1920x1080": (1080, 1920), "4032x3024": (3024, 4032)}


def photo(path: Path, size: tuple[int, int]) -> Image:
    """The photo at `path`, cropped to the shape of (height, width) and scaled to it; RGB.

    Enlarged photos are smooth. That changes nothing for the preprocess, whose work does not depend
    on content; the postprocess works on the model's output, which sees the small image anyway.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        message = f"{path} is no image"
        raise FileNotFoundError(message)
    height, width = size
    rows, columns = picture.shape[:2]
    scale = min(rows / height, columns / width)
    crop_rows, crop_columns = round(height * scale), round(width * scale)
    top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
    crop = picture[top : top + crop_rows, left : left + crop_columns]
    scaled = cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.uint8)


def jpeg(image: Image, quality: int = 90) -> bytes:
    """The image as the bytes of a JPEG file."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return data.tobytes()
