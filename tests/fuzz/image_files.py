"""Image files of every format that is read, and of some that are not; and what becomes of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from boxed import boxed
from chances import Random, with_noise, with_number
from chunked import codestream, jpeg, png, webp
from fielded import bmp, gif, pnm, tiff
from PIL import Image, features

_MOST = 1 << 20  # bytes of a case

Mutator = Callable[[Random, bytes], bytes]


def _photo(height: int = 48, width: int = 80) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    planes = [40 + 200 * x, 220 - 180 * y, 30 + 100 * x * y + 90 * (1 - x) * y]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def _encoded(image: Image.Image, kind: str, orientation: int = 1, **options: Any) -> bytes:
    if orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def samples() -> list[tuple[Mutator, bytes]]:
    """Whole files, and how each is taken apart."""
    photo, large = _photo(), _photo(400, 700)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))
    alpha = photo.convert("RGBA")
    grey, few = photo.convert("L"), photo.quantize(16)
    turned = photo.rotate(5)
    moving = {"save_all": True, "append_images": [turned]}
    found: list[tuple[Mutator, bytes]] = [
        (jpeg, _encoded(photo, "JPEG", 6, quality=80)),
        (jpeg, _encoded(photo, "JPEG", quality=80, progressive=True)),
        (jpeg, _encoded(photo, "JPEG", quality=80, restart_marker_blocks=2)),
        (jpeg, _encoded(photo.convert("CMYK"), "JPEG")),
        (jpeg, _encoded(large, "JPEG", quality=30)),
        (png, _encoded(noise, "PNG", 5)),
        (png, _encoded(few, "PNG", transparency=1)),
        (png, _encoded(grey.convert("1"), "PNG")),
        (png, _encoded(alpha, "PNG", icc_profile=b"no profile")),
        (png, _encoded(photo, "PNG", **moving)),
        (webp, _encoded(photo, "WEBP", 3)),
        (webp, _encoded(noise, "WEBP", lossless=True)),
        (webp, _encoded(alpha, "WEBP", **moving)),
        (tiff, _encoded(photo, "TIFF", 7)),
        (tiff, _encoded(photo, "TIFF", compression="tiff_lzw")),
        (tiff, _encoded(photo, "TIFF", compression="jpeg")),
        (tiff, _encoded(grey, "TIFF", compression="tiff_adobe_deflate")),
        (tiff, _encoded(grey.convert("1"), "TIFF", compression="group4")),
        (tiff, _encoded(few, "TIFF", save_all=True, append_images=[few])),
        (bmp, _encoded(photo, "BMP")),
        (bmp, _encoded(few, "BMP")),
        (gif, _encoded(few, "GIF")),
        (gif, _encoded(photo, "GIF", **moving)),
        (pnm, _encoded(photo, "PPM")),
        (pnm, _encoded(grey, "PPM")),
        (boxed, _encoded(photo, "JPEG2000")),
        (boxed, _encoded(large, "JPEG2000", tile_size=(128, 128), quality_layers=[20, 5])),
        (codestream, _encoded(photo, "JPEG2000", no_jp2=True, precinct_size=(32, 32))),
    ]
    if features.check("avif"):
        found += [
            (boxed, _encoded(photo, "AVIF", quality=60)),
            (boxed, _encoded(alpha, "AVIF", 6, quality=60)),
            (boxed, _encoded(photo, "AVIF", quality=60, **moving)),
        ]
    return found


def image_file(chance: Random) -> bytes:
    """A file that was taken apart and put together wrongly; sometimes only damaged."""
    mutate, data = chance.choice(samples())
    dice = chance.random()
    if dice < 0.75:
        data = mutate(chance, data)
    if dice < 0.1 or dice > 0.9:
        data = with_noise(chance, data)
    if 0.7 < dice < 0.95:
        data = with_number(chance, data)
    if chance.random() < 0.02:  # one file's beginning, another's end
        other = chance.choice(samples())[1]
        data = data[: chance.choice((4, 12, 16, 64))] + other
    return data[:_MOST]
