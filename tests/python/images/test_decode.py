"""Every format, every orientation, every kind of pixel: what the program gets to see."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pil
from PIL import features

import etseg
from children import output_of
from etseg._images.source import source_of
from eyes import Pixels, encoded, eyes, png16, png_chunk, seen, smooth, stored_for, tiff16
from programs import picture

VERSION = tuple(map(int, cv2.__version__.split(".")[:2]))
needs_avif = pytest.mark.skipif(
    VERSION < (4, 9) or not features.check("avif"), reason="no AVIF in OpenCV or Pillow"
)
needs_gif = pytest.mark.skipif(VERSION < (4, 11), reason="no GIF in this OpenCV")


@pytest.fixture(scope="module")
def module() -> Iterator[etseg.ImageSegmentationModule]:
    with eyes() as loaded:
        yield loaded


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def apart(left: Pixels, right: Pixels) -> int:
    """The largest difference of two pixels."""
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right).max())


LOSSLESS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "png-palette-of-few": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "ppm": ("PPM", {}),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless(module: etseg.ImageSegmentationModule, name: str) -> None:
    kind, options = LOSSLESS[name]
    assert apart(seen(module, encoded(picture(), kind, **options)), picture()) == 0


LOSSY: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 95}),
    "jpeg-progressive": ("JPEG", {"quality": 95, "progressive": True}),
    "jpeg-444": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg-422": ("JPEG", {"quality": 95, "subsampling": 1}),
    "webp": ("WEBP", {"quality": 95}),
    "avif": ("AVIF", {"quality": 95}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "jpeg2000": ("JPEG2000", {}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_avif if n == "avif" else ()) for n in LOSSY]
)
def test_lossy(module: etseg.ImageSegmentationModule, name: str) -> None:
    kind, options = LOSSY[name]
    assert apart(seen(module, encoded(smooth(), kind, **options)), smooth()) <= 12


ORIENTED: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg-progressive": ("JPEG", {"quality": 95, "progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "webp-lossy": ("WEBP", {"quality": 95}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "avif": ("AVIF", {"quality": 95}),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_avif if n == "avif" else ()) for n in ORIENTED]
)
def test_orientation(module: etseg.ImageSegmentationModule, name: str, orientation: int) -> None:
    kind, options = ORIENTED[name]
    data = encoded(stored_for(smooth(), orientation), kind, orientation, **options)
    assert apart(seen(module, data), smooth()) <= 12
    assert module.forward(data, resize=True).size == (24, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_moves_pixels_and_changes_none(
    module: etseg.ImageSegmentationModule, kind: str, orientation: int
) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(stored_for(picture(), orientation), kind, orientation, **options)
    assert apart(seen(module, data), picture()) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_tiff(
    module: etseg.ImageSegmentationModule, orientation: int
) -> None:
    stored = stored_for(picture(), orientation).astype(np.uint16) * 257
    assert apart(seen(module, tiff16(stored, orientation)), picture()) == 0


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_orientation_that_does_not_exist_is_none(
    module: etseg.ImageSegmentationModule, orientation: int
) -> None:
    data = encoded(picture(), "PNG", orientation)
    assert apart(seen(module, data), picture()) == 0


def test_16_bits_keep_the_high_byte(module: etseg.ImageSegmentationModule) -> None:
    high = picture().astype(np.uint16) << 8
    low = np.random.default_rng(1).integers(0, 128, high.shape, np.uint16)  # rounds down anyway
    assert apart(seen(module, png16(high | low)), picture()) <= 1
    assert apart(seen(module, tiff16(high | low)), picture()) <= 1
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    assert apart(seen(module, png16((high | low)[..., 0])), grey) <= 1
    assert apart(seen(module, tiff16((high | low)[..., 0])), grey) <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_grey(module: etseg.ImageSegmentationModule, kind: str) -> None:
    grey = smooth()[..., 0]
    repeated = np.repeat(grey[..., None], 3, axis=2)
    assert apart(seen(module, encoded(grey, kind)), repeated) <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette(module: etseg.ImageSegmentationModule, bits: int) -> None:
    image = Pil.fromarray(picture()).quantize(2**bits)
    expected = np.asarray(image.convert("RGB"))
    assert apart(seen(module, encoded(image, "PNG", bits=bits)), expected) == 0
    assert apart(seen(module, encoded(image, "PNG", bits=bits, transparency=0)), expected) == 0
    assert apart(seen(module, encoded(image, "TIFF")), expected) == 0
    assert apart(seen(module, encoded(image, "BMP")), expected) == 0


@needs_gif
def test_gif(module: etseg.ImageSegmentationModule) -> None:
    image = Pil.fromarray(picture()).quantize(32)
    expected = np.asarray(image.convert("RGB"))
    assert apart(seen(module, encoded(image, "GIF")), expected) == 0
    other = Pil.fromarray(picture(seed=1)).quantize(32)
    moving = encoded(image, "GIF", save_all=True, append_images=[other])
    assert apart(seen(module, moving), expected) == 0


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_dropped(module: etseg.ImageSegmentationModule, kind: str) -> None:
    alpha = np.arange(24 * 40).reshape(24, 40, 1) % 255 + 1
    rgba = np.concatenate([picture(), alpha.astype(np.uint8)], axis=2)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert apart(seen(module, encoded(rgba, kind, **options)), picture()) == 0


def test_alpha_of_tiff_lies_on_black(module: etseg.ImageSegmentationModule) -> None:
    alpha = np.arange(24 * 40).reshape(24, 40, 1) % 256
    rgba = np.concatenate([picture(), alpha.astype(np.uint8)], axis=2)
    blended = np.rint(picture() * (alpha / 255)).astype(np.uint8)
    assert apart(seen(module, encoded(rgba, "TIFF")), blended) <= 1


def test_alpha_of_grey_is_dropped(module: etseg.ImageSegmentationModule) -> None:
    grey = picture()[..., 0]
    image = Pil.merge("LA", [Pil.fromarray(grey), Pil.fromarray(picture()[..., 1])])
    assert apart(seen(module, encoded(image, "PNG")), np.repeat(grey[..., None], 3, 2)) == 0


@pytest.mark.parametrize("progressive", [False, True])
def test_cmyk(module: etseg.ImageSegmentationModule, progressive: bool) -> None:
    image = _cmyk(smooth())
    data = encoded(image, "JPEG", quality=95, progressive=progressive)
    assert apart(seen(module, data), np.asarray(image.convert("RGB"))) <= 12


def test_ycck(module: etseg.ImageSegmentationModule) -> None:
    # As CMYK whose first three channels are the YCbCr of the ink; the Adobe segment says so.
    cmyk = np.asarray(_cmyk(smooth()))
    ycc = np.asarray(Pil.fromarray(cmyk[..., :3]).convert("YCbCr"))
    disguised = Pil.fromarray(np.concatenate([255 - ycc, cmyk[..., 3:]], axis=2), "CMYK")
    data = bytearray(encoded(disguised, "JPEG", quality=97, subsampling=0))
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2
    expected = np.asarray(_cmyk(smooth()).convert("RGB"))
    assert apart(seen(module, bytes(data)), expected) <= 16


def _cmyk(rgb: Pixels) -> Pil.Image:
    """With black ink, unlike Pillow's own."""
    cmyk = np.concatenate([255 - rgb, np.zeros_like(rgb[..., :1])], axis=2)
    cmyk[..., 3] = np.linspace(0, 120, 40).astype(np.uint8)
    return Pil.fromarray(cmyk, "CMYK")


def test_bmp_from_the_top(module: etseg.ImageSegmentationModule) -> None:
    data = bytearray(encoded(picture(), "BMP"))
    data[22:26] = (-24).to_bytes(4, "little", signed=True)
    assert apart(seen(module, bytes(data)), picture()[::-1]) == 0


def test_first_page(module: etseg.ImageSegmentationModule) -> None:
    second = Pil.fromarray(picture(seed=1))
    pages = encoded(picture(), "TIFF", save_all=True, append_images=[second])
    assert apart(seen(module, pages), picture()) == 0
    moving = encoded(picture(), "WEBP", save_all=True, append_images=[second], lossless=True)
    assert apart(seen(module, moving), picture()) == 0


def test_interlaced_png(module: etseg.ImageSegmentationModule) -> None:
    # Pillow writes none: seven passes by hand.
    raw = b""
    for top, left, down, right in [
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]:  # fmt: skip
        raw += b"".join(b"\0" + row.tobytes() for row in picture()[top::down, left::right])
    head = struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    data += png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")
    assert apart(seen(module, data), picture()) == 0


def test_what_libpng_would_complain_about(module: etseg.ImageSegmentationModule) -> None:
    data = encoded(picture(), "PNG")
    after_head = 8 + 25
    odd = [
        png_chunk(b"iCCP", b"name\0\0" + b"no profile"),
        png_chunk(b"gAMA", b"\0"),
        png_chunk(b"tEXt", b"x" * 100)[:-4] + b"\0\0\0\0",  # a wrong checksum
        png_chunk(b"sRGB", b"\x09"),
        png_chunk(b"eXIf", b"nothing"),
    ]
    noisy = data[:after_head] + b"".join(odd) + data[after_head:]
    assert apart(seen(module, noisy), picture()) == 0


@pytest.mark.parametrize("maxval", [1, 7, 100, 254, 255, 256, 1000, 65534, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_pnm_of_any_largest_value(
    module: etseg.ImageSegmentationModule, kind: int, maxval: int
) -> None:
    image = picture() if kind in (3, 6) else picture()[..., 0]
    stored = np.rint(image / 255 * maxval).astype(np.uint32)
    if kind in (2, 3):
        pixels = b" ".join(b"%d" % value for value in stored.ravel())
    else:
        pixels = stored.astype(">u2" if maxval > 255 else np.uint8).tobytes()
    data = b"P%d 40 24 %d\n" % (kind, maxval) + pixels
    expected = ((stored * 255 + maxval // 2) // maxval).astype(np.uint8)
    if kind in (2, 5):
        expected = np.repeat(expected[..., None], 3, axis=2)
    assert apart(seen(module, data), expected) <= (maxval == 65535)  # that keeps the high byte


def test_pnm_above_its_largest_value_is_white(module: etseg.ImageSegmentationModule) -> None:
    assert (seen(module, b"P5 40 24 100\n" + b"\xff" * 960) == 255).all()


@pytest.mark.parametrize("maxval", [0, 65536, 10**30])
def test_pnm_of_a_largest_value_that_cannot_be(
    module: etseg.ImageSegmentationModule, maxval: int
) -> None:
    with pytest.raises(etseg.FileReadError, match="cannot decode"):
        module.forward(b"P5 40 24 %d\n" % maxval + bytes(2000))


@pytest.mark.parametrize("sample_format", [2, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_of_no_set_range(
    module: etseg.ImageSegmentationModule, sample_format: int, bits: int
) -> None:
    data = _with_tag(tiff16(picture()[..., 0].astype(np.uint16)), (339, 3, 1, sample_format))
    data = data.replace(
        struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, bits, 0)
    )
    with pytest.raises(etseg.FileReadError, match="signed or floating-point"):
        module.forward(data)
    unsigned = _with_tag(tiff16(picture()[..., 0].astype(np.uint16)), (339, 3, 1, 1))
    module.forward(unsigned)


def _with_tag(tiff: bytes, tag: tuple[int, int, int, int]) -> bytes:
    """A TIFF whose only directory is its end, with one more entry."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    entries = tiff[start + 2 : start + 2 + 12 * count] + struct.pack("<HHII", *tag)
    return tiff[:start] + struct.pack("<H", count + 1) + entries + bytes(4)


class PluginImage(Pil.Image):
    """As plugins of Pillow have them: of a module that is none of PIL's."""


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGB", "L", "1", "LA"])
def test_pil_images_of_a_plugins_class(module: etseg.ImageSegmentationModule, mode: str) -> None:
    image = Pil.fromarray(smooth()).convert(mode)
    plugin = PluginImage()
    plugin.__dict__.update(image.__dict__)
    assert type(plugin).__module__.partition(".")[0] != "PIL"
    assert apart(seen(module, plugin), np.asarray(image.convert("RGB"))) == 0
    exif = Pil.Exif()
    exif[0x0112] = 3
    plugin.getexif = lambda: exif  # type: ignore[method-assign]
    assert apart(seen(module, plugin), np.asarray(image.convert("RGB"))[::-1, ::-1]) == 0
    with (
        eyes(limits=etseg.Limits(max_pixels=100)) as careful,
        pytest.raises(etseg.InvalidUserInputError, match="max_pixels"),
    ):
        careful.forward(plugin)


@needs_avif
def test_alpha_of_avif_is_dropped(module: etseg.ImageSegmentationModule) -> None:
    alpha = np.arange(24 * 40).reshape(24, 40, 1) % 255 + 1
    rgba = np.concatenate([smooth(), alpha.astype(np.uint8)], axis=2)
    assert apart(seen(module, encoded(rgba, "AVIF", quality=95)), smooth()) <= 12


@needs_avif
def test_the_still_picture_of_a_moving_avif(module: etseg.ImageSegmentationModule) -> None:
    second = Pil.fromarray(255 - smooth())
    data = encoded(smooth(), "AVIF", quality=95, save_all=True, append_images=[second])
    assert data[8:12] == b"avis"
    assert apart(seen(module, data), smooth()) <= 12


@pytest.mark.parametrize("colours", [1, 2, 3, 200])
def test_a_palette_that_lacks_colours(module: etseg.ImageSegmentationModule, colours: int) -> None:
    """What it lacks is black, and nothing is said about it."""
    head = struct.pack(">IIBBBBB", 40, 24, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(range(row, row + 40)) for row in range(24))
    palette = bytes(range(1, 251)) * 3
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    data += png_chunk(b"PLTE", palette[: 3 * colours])
    data += png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    got = seen(module, data)
    index = np.arange(24)[:, None] + np.arange(40)
    table = np.zeros((256, 3), np.uint8)
    table[:colours] = np.frombuffer(palette[: 3 * colours], np.uint8).reshape(-1, 3)
    assert apart(got, table[index]) == 0


def _bad_pngs() -> dict[str, bytes]:
    """PNG files whose checksums are right, and that libpng has something to say about."""

    def png(head: tuple[int, ...], raw: bytes, *others: bytes, level: int = 9) -> bytes:
        chunks = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", *head)), *others]
        chunks += [png_chunk(b"IDAT", zlib.compress(raw, level)), png_chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)

    grey = (40, 24, 8, 0, 0, 0, 0)
    rows = [b"\0" + bytes(40)] * 24
    good = b"".join(rows)
    return {
        "a filter that does not exist": png(grey, good[:-41] + b"\5" + bytes(40)),
        "the first filter": png(grey, b"\xff" + good[1:]),
        "too few pixels": png(grey, good[:-1]),
        "no pixels": png(grey, b""),
        "a depth that does not exist": png((40, 24, 3, 0, 0, 0, 0), good),
        "a depth that the colour has not": png((40, 24, 1, 2, 0, 0, 0), good),
        "a colour that does not exist": png((40, 24, 8, 5, 0, 0, 0), good),
        "a compression that does not exist": png((40, 24, 8, 0, 1, 0, 0), good),
        "a set of filters that does not exist": png((40, 24, 8, 0, 0, 64, 0), good),
        "an interlacing that does not exist": png((40, 24, 8, 0, 0, 0, 2), good),
        "a side beyond libpng's limit": png((1_000_001, 1, 1, 0, 0, 0, 0), bytes(125_002)),
        "a palette of no colours": png((40, 24, 8, 3, 0, 0, 0), good, png_chunk(b"PLTE", b"")),
        "a palette of a depth that does not exist": png(
            (40, 24, 255, 3, 0, 0, 0), good, png_chunk(b"PLTE", b"abc")
        ),
        "a palette of thirds": png((40, 24, 8, 3, 0, 0, 0), good, png_chunk(b"PLTE", b"abcd")),
        "a palette of too many": png((40, 24, 1, 3, 0, 0, 0), good, png_chunk(b"PLTE", b"abc" * 3)),
        "no deflate": png(grey, good).replace(zlib.compress(good, 9), b"nonsense"),
        "a critical chunk that does not exist": png(grey, good, png_chunk(b"NONE", b"")),
    }


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypheic", "a HEIC photo.*pillow-heif"),
        (b"\0\0\0\x18ftypmp42", "a video.*VideoCapture"),
        (b"\0\0\0\x14ftypqt  ", "a video"),
        (b"RIFF\x10\0\0\0AVI LIST", "a video"),
        (b"\x1aE\xdf\xa3", "a video"),
        (b"\xff\x0a\xfa", "JPEG XL.*PNG"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"\n<!DOCTYPE HTML><html>", "a web page"),
        (b"<html lang='en'>", "a web page"),
        (b"<?xml version='1.0'?><svg>", "SVG"),
        (b"\x93NUMPY\x01", "numpy.load"),
        (b"PK\x03\x04", "ZIP"),
        (b"hello", r"known format \(JPEG.*it starts with b'hello'"),
        (b"<p>", "it starts with b'<p>'"),
    ],
)
def test_what_is_taken_for_a_photo(
    module: etseg.ImageSegmentationModule, head: bytes, words: str
) -> None:
    """What it is, and what to do with it."""
    with pytest.raises(etseg.FileReadError, match=f"the bytes given: it is no image of .*{words}"):
        module.forward(head)


@pytest.mark.parametrize("name", _bad_pngs())
def test_png_that_libpng_would_complain_about(
    module: etseg.ImageSegmentationModule, name: str
) -> None:
    with pytest.raises(etseg.FileReadError, match="cannot decode"):
        module.forward(_bad_pngs()[name])


def test_png_with_more_than_its_pixels(module: etseg.ImageSegmentationModule) -> None:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 0))
    rows = b"".join(b"\0" + row.tobytes() for row in picture())
    pixels = zlib.compress(rows + bytes(100_000)) + b"and more"
    half = len(pixels) // 2
    parts = [png_chunk(b"IDAT", part) for part in (b"", pixels[:half], b"", pixels[half:])]
    data = b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + png_chunk(b"IEND", b"")
    assert apart(seen(module, data), picture()) == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 9), (300, 500), (700, 350)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P"])
def test_png_of_many_sizes(size: tuple[int, int], mode: str) -> None:
    """Rows that end with blocks of the written file, and in the middle of them."""
    image = Pil.fromarray(np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8))
    image = image.convert(mode)
    pixels = source_of(encoded(image, "PNG")).pixels(None).array[..., ::-1]
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))


def test_bytes_behind_the_image(module: etseg.ImageSegmentationModule) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(smooth(), kind)
        assert apart(seen(module, data + b"\0" * 1000), seen(module, data)) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_cut_off(module: etseg.ImageSegmentationModule, kind: str) -> None:
    data = encoded(picture(), kind)
    for share in (0.999, 0.9, 0.5, 0.1, 0.02):
        with pytest.raises(etseg.FileReadError, match="cannot decode"):
            module.forward(data[: int(len(data) * share)])


def test_unusual_subsampling_says_what_to_do(module: etseg.ImageSegmentationModule) -> None:
    data = bytearray(encoded(smooth(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x31
    with pytest.raises(etseg.FileReadError, match=r"PIL\.Image\.open"):
        module.forward(bytes(data))


def test_no_image(module: etseg.ImageSegmentationModule) -> None:
    for data in (b"", b"hello", b"<svg/>", b"%PDF-1.7", b"\0" * 100, b"#?RADIANCE\n", b"P7\n"):
        with pytest.raises(etseg.FileReadError, match="cannot decode the bytes given"):
            module.forward(data)


def test_endless_scans_are_refused(module: etseg.ImageSegmentationModule) -> None:
    data = encoded(smooth(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    bomb = data[:last] + data[last:-2] * 200 + data[-2:]
    with pytest.raises(etseg.FileReadError, match="scans"):
        module.forward(bomb)
    # Those of one channel each make a sequential file as slow as a progressive one.
    start = data.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0" + bytes(9)
    sequential = data[:start].replace(b"\xff\xc2", b"\xff\xc0")
    with pytest.raises(etseg.FileReadError, match="scans"):
        module.forward(sequential + scan * 101 + b"\xff\xd9")


def test_the_log_level_is_as_it_was(module: etseg.ImageSegmentationModule) -> None:
    if hasattr(cv2, "setLogLevel"):  # until 4.12
        log: Any = cv2
    else:
        from cv2.utils import logging as log
    before = log.getLogLevel()
    for level in (2, 0, before):  # errors, silence
        log.setLogLevel(level)
        module.forward(encoded(picture(), "PNG"))
        with pytest.raises(etseg.FileReadError):
            module.forward(encoded(picture(), "TIFF")[:2000])
        assert log.getLogLevel() == level


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_silences_opencv(tmp_path: Path) -> None:
    """Its lock may be held by a thread that the child does not have, and its log be silent."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    script = """
        import os, signal, sys, threading, warnings
        from cv2.utils import logging
        from etseg._images import quiet
        from etseg._images.source import source_of

        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        before = logging.getLogLevel()
        inside, gate = threading.Event(), threading.Event()

        def silent():
            with quiet.quiet():
                inside.set()
                gate.wait()

        thread = threading.Thread(target=silent)
        thread.start()
        inside.wait()
        with quiet._lock:
            child = os.fork()
        if child == 0:
            signal.alarm(60)
            same = logging.getLogLevel() == before
            pixels = source_of(sys.argv[1]).pixels(None)
            os._exit(not (same and pixels.size == (4, 4) and logging.getLogLevel() == before))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        gate.set()
        thread.join()
        """
    assert output_of(script, tmp_path / "a.png") == "0"
