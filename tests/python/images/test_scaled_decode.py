"""Large JPEG files are decoded at a fraction of their size; the result does not show it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pil

import etseg
from etseg._images.kinds import StreamSource
from eyes import Pixels, encoded, eyes, seen, smooth, stored_for
from programs import program

#: The size of the program behind `eyes`.
HEIGHT, WIDTH = 24, 40


@pytest.fixture(scope="module")
def module() -> Iterator[etseg.ImageSegmentationModule]:
    with eyes() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def whole() -> Iterator[etseg.ImageSegmentationModule]:
    with eyes(scaled_decode=False) as loaded:
        yield loaded


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Height and width of everything that simplejpeg decodes."""
    sizes: list[tuple[int, int]] = []
    decode = simplejpeg.decode_jpeg

    def noting(*arguments: object, **options: object) -> Pixels:
        array = decode(*arguments, **options)
        sizes.append(array.shape[:2])
        return np.asarray(array, np.uint8)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noting)
    return sizes


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [
        (16 * HEIGHT, 16 * WIDTH, 8),  # twice the input is left
        (16 * HEIGHT + 7, 16 * WIDTH + 1, 8),
        (16 * HEIGHT - 1, 16 * WIDTH, 4),
        (16 * HEIGHT, 16 * WIDTH - 1, 4),
        (8 * HEIGHT, 99 * WIDTH, 4),
        (8 * HEIGHT - 1, 99 * WIDTH, 2),
        (4 * HEIGHT, 4 * WIDTH, 2),
        (4 * HEIGHT - 1, 4 * WIDTH, 1),
        (HEIGHT, WIDTH, 1),
        (1, 5000, 1),
    ],
)
def test_factor(
    module: etseg.ImageSegmentationModule,
    whole: etseg.ImageSegmentationModule,
    decoded: list[tuple[int, int]],
    height: int,
    width: int,
    factor: int,
) -> None:
    data = encoded(smooth(height, width), "JPEG")
    assert module.forward(data, resize=True).size == (height, width)
    assert whole.forward(data, resize=True).size == (height, width)
    assert decoded == [(-(-height // factor), -(-width // factor)), (height, width)]


@pytest.mark.parametrize("size", [(400, 656), (401, 663), (391, 649), (387, 777), (2000, 700)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_same_picture(
    module: etseg.ImageSegmentationModule, size: tuple[int, int], orientation: int
) -> None:
    upright = smooth(*size)
    data = encoded(stored_for(upright, orientation), "JPEG", orientation, quality=95)
    from_array = seen(module, upright).astype(int)
    assert np.abs(seen(module, data) - from_array).max() <= 12
    assert module.forward(data, resize=True).size == size


def test_orientation_decides_which_side_is_which(
    module: etseg.ImageSegmentationModule, decoded: list[tuple[int, int]]
) -> None:
    stored = encoded(smooth(16 * HEIGHT, 16 * WIDTH), "JPEG", 6)  # stands upright, model lies
    module.forward(stored)
    # 640x384 for 24x40: 384 across is nine times 40.
    assert decoded == [(4 * HEIGHT, 4 * WIDTH)]


@pytest.mark.parametrize("size", [(384, 640), (385, 641), (388, 644), (391, 647), (397, 653)])
def test_the_edges_stay_where_they_are(
    module: etseg.ImageSegmentationModule,
    whole: etseg.ImageSegmentationModule,
    size: tuple[int, int],
) -> None:
    # A ramp shows a shift by its size: 255 across the image.
    height, width = size
    ramp = np.linspace(0, 255, width)[None, :, None].repeat(height, 0).repeat(3, 2)
    data = encoded(np.rint(ramp).astype(np.uint8), "JPEG", quality=98)
    scaled = seen(module, data).astype(float)
    shift = (scaled - seen(whole, data)) / 255 * width  # in pixels of the file
    # Never half a decoded pixel, 4 of the file's; plus what rounding to 8 bits adds.
    assert np.abs(shift[:, 1:-1]).max() <= 4 + 2 * width / 255
    assert abs(shift[:, 1:-1].mean()) <= 2.5


@pytest.mark.parametrize("kind", ["grey", "cmyk", "progressive"])
def test_other_jpegs(
    module: etseg.ImageSegmentationModule, decoded: list[tuple[int, int]], kind: str
) -> None:
    image = Pil.fromarray(smooth(400, 656))
    if kind != "progressive":
        image = image.convert({"grey": "L", "cmyk": "CMYK"}[kind])
    data = encoded(image, "JPEG", quality=95, progressive=kind == "progressive")
    expected = seen(module, np.asarray(image.convert("RGB"))).astype(int)
    assert np.abs(seen(module, data) - expected).max() <= 12
    assert decoded == [(50, 82)]


def test_other_formats_are_decoded_in_full(
    module: etseg.ImageSegmentationModule, whole: etseg.ImageSegmentationModule
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})):
        data = encoded(image, kind, **options)
        np.testing.assert_array_equal(seen(module, data), seen(module, image))
        np.testing.assert_array_equal(seen(whole, data), seen(whole, image))


def test_off_is_the_same_as_an_array(whole: etseg.ImageSegmentationModule) -> None:
    data = encoded(smooth(800, 1000), "JPEG")
    array = simplejpeg.decode_jpeg(data)
    np.testing.assert_array_equal(seen(whole, data), seen(whole, array))


def agreement(left: Pixels, right: Pixels) -> tuple[float, float]:
    """Intersection over union, mean and worst, of the labels that cover 1 % or more."""
    shares = []
    for label in np.union1d(left, right):
        either = np.count_nonzero((left == label) | (right == label))
        if either >= 0.01 * left.size:
            shares.append(np.count_nonzero((left == label) & (right == label)) / either)
    return float(np.mean(shares)), float(np.min(shares))


@pytest.mark.parametrize("name", ["selfie", "deeplab-257"])
@pytest.mark.parametrize("size", [(3024, 3024), (3024, 4032), (3001, 4013), (1080, 1920)])
def test_masks_agree_with_full_decode(
    spec_of: Callable[[str], etseg.ModelSpec],
    photo_of_size: Callable[[int, int], Pixels],
    measured: Callable[[str, object], None],
    name: str,
    size: tuple[int, int],
) -> None:
    photo = photo_of_size(*size)
    file = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    maps = []
    for scaled in (True, False):
        with etseg.ImageSegmentationModule(scaled_decode=scaled) as module:
            module.load(spec_of(name))
            maps.append(np.asarray(module.forward(file, resize=True).argmax))
    mean, worst = agreement(*maps)
    measured("IoU, mean and worst", (mean, worst))
    assert mean >= 0.99
    assert worst >= 0.985  # bilinear and antialias, both from all pixels: 0.98


@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("resample", ["bilinear", "antialias"])
def test_masks_agree_on_the_shared_photos(
    shared: Path,
    spec_of: Callable[[str], etseg.ModelSpec],
    measured: Callable[[str, object], None],
    photo: str,
    resample: str,
) -> None:
    image = cv2.imread(str(shared / "images" / f"{photo}.png"))
    assert image is not None
    large = cv2.resize(image, (4032, 3024), interpolation=cv2.INTER_CUBIC)
    file = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    maps = []
    for scaled in (True, False):
        with etseg.ImageSegmentationModule(scaled_decode=scaled) as module:
            module.load(replace(spec_of("deeplab-257"), resample=resample))  # type: ignore[arg-type]
            maps.append(np.asarray(module.forward(file, resize=True).argmax))
    mean, worst = agreement(*maps)
    measured("IoU, mean and worst", (mean, worst))
    assert mean >= 0.99
    assert worst >= 0.985  # bilinear and antialias, both from all pixels: 0.98


def test_a_larger_model_that_comes_while_a_smaller_ones_pixels_are_decoded(
    monkeypatch: pytest.MonkeyPatch, photo_of_size: Callable[[int, int], Pixels]
) -> None:
    """They are decoded again, for it; from a file object, too, that can be read but once."""
    file = cv2.imencode(".jpg", photo_of_size(1600, 1600))[1].tobytes()
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        expected = module.forward(file, ["SELFIE"])["SELFIE"]
        module.load(program("sigmoid_c1"))
        pixels = StreamSource.pixels

        def decode_and_load(source: StreamSource, size: tuple[int, int] | None) -> Any:
            decoded = pixels(source, size)
            if module.input_size != (256, 256):
                module.load(etseg.SELFIE_SEGMENTATION)
            return decoded

        monkeypatch.setattr(StreamSource, "pixels", decode_and_load)
        result = module.forward(io.BytesIO(file), ["SELFIE"])
    np.testing.assert_array_equal(result["SELFIE"], expected)
