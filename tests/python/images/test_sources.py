"""Whatever a caller calls an image, through forward(): the same pixels, the same maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import etseg
from etseg import ImageSegmentationModule
from programs import program

Pixels = npt.NDArray[Any]

#: Taller than wide, and no two corners alike: a turn or a flip is seen.
HEIGHT, WIDTH = 48, 20


def picture() -> Pixels:
    """A different colour in each corner, and smooth, so that JPEG changes little."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = (255 * x / (WIDTH - 1), 255 * y / (HEIGHT - 1), 255 * (x < WIDTH / 2) * (y < 8))
    return np.stack(planes, axis=-1).round().astype(np.uint8)


def encoded(form: str = "PNG", image: Pixels | Image.Image | None = None, **options: Any) -> bytes:
    """The bytes of an image file."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(picture() if image is None else image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def module() -> ImageSegmentationModule:
    """Its output is its input: the maps of forward(resize=True) show the pixels that it saw."""
    module = ImageSegmentationModule()
    module.load(
        {"model_source": program("identity"), "labels": ["r", "g", "b"], "activation": "none"}
    )
    return module


@pytest.fixture
def maps(module: ImageSegmentationModule) -> Callable[[Any], Pixels]:
    """The three maps of an image at its own size."""

    def forward(image: Any) -> Pixels:
        result = module.forward(image, ["r", "g", "b"], resize=True)
        return np.stack([result[label] for label in "rgb"])

    return forward


# ---- Strings.


@pytest.mark.parametrize("form", [str, Path, Path.as_uri, "PathLike"])
@pytest.mark.parametrize(
    "name", ["plain.png", "with space.png", "Füße 猫.png", "100%.png", "a#b?c.png", "data:.png"]
)
def test_files(form: Any, name: str, tmp_path: Path, maps: Callable[[Any], Pixels]) -> None:
    path = tmp_path / name
    path.write_bytes(encoded())

    class PathLike:
        def __fspath__(self) -> str:
            return str(path)

    source = PathLike() if form == "PathLike" else form(path)
    np.testing.assert_array_equal(maps(source), maps(picture()))


def test_a_relative_path(
    tmp_path: Path, maps: Callable[[Any], Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo.png").write_bytes(encoded())
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(maps("photo.png"), maps(picture()))


@pytest.mark.parametrize(
    "uri",
    [
        "file://{}",
        "file://localhost{}",
        "FILE://{}",
        "file:///%2e/{}",
    ],
)
@pytest.mark.parametrize("escape", [quote, str], ids=["escaped", "pasted"])
def test_file_uris(
    uri: str, escape: Callable[[str], str], tmp_path: Path, maps: Callable[[Any], Pixels]
) -> None:
    path = tmp_path / "Füße 猫 a+b.png"
    path.write_bytes(encoded())
    np.testing.assert_array_equal(maps(uri.format(escape(str(path)))), maps(picture()))


@pytest.mark.parametrize("uri", ["file://elsewhere/photo.png", "file://", "file://localhost"])
def test_a_file_uri_of_no_local_file(uri: str, maps: Callable[[Any], Pixels]) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=r"file:///absolute/path"):
        maps(uri)


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


def in_lines(data: bytes) -> str:
    return base64.encodebytes(data).decode()


def unpadded(data: bytes) -> str:
    return standard(data).rstrip("=")


def percent_encoded(data: bytes) -> str:
    return quote(standard(data), safe="")


@pytest.mark.parametrize("alphabet", [standard, url_safe, in_lines, unpadded, percent_encoded])
@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64,",
        "data:image/png;charset=utf-8;base64,",
        "data:;base64,",
        "data:image/jpeg;base64,",  # it says wrong; the content is what counts
        "DATA:image/png;BASE64,",
        "data:image/png;base64,  \n",
        "",
    ],
)
def test_base64(head: str, alphabet: Callable[[bytes], str], maps: Callable[[Any], Pixels]) -> None:
    # Of each length modulo 3, so that every kind of padding comes.
    for extra in range(3):
        data = encoded() + b"\0" * extra
        np.testing.assert_array_equal(maps(head + alphabet(data)), maps(picture()))


def test_a_data_uri_without_base64(maps: Callable[[Any], Pixels]) -> None:
    uri = "data:image/png," + quote(encoded(), safe="")
    np.testing.assert_array_equal(maps(uri), maps(picture()))


def test_an_existing_file_comes_before_base64(
    tmp_path: Path, maps: Callable[[Any], Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is valid base64 of a JPEG's first bytes; the file is a PNG."""
    monkeypatch.chdir(tmp_path)
    name = standard(b"\xff\xd8\xff\xe0").replace("/", "_").rstrip("=")
    Path(name).write_bytes(encoded())
    np.testing.assert_array_equal(maps(name), maps(picture()))


# ---- Bytes and arrays.


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes(kind: Any, maps: Callable[[Any], Pixels]) -> None:
    np.testing.assert_array_equal(maps(kind(encoded())), maps(picture()))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_lossless_formats(form: str, maps: Callable[[Any], Pixels]) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    expected = maps(picture())
    atol = 0.2 if form == "GIF" else 0  # 256 colours
    try:
        got = maps(encoded(form, **options))  # type: ignore[arg-type]
    except etseg.FileReadError:
        assert form == "GIF"  # older OpenCV reads none
        return
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


def test_jpeg(maps: Callable[[Any], Pixels]) -> None:
    got = maps(encoded("JPEG", quality=95, subsampling=0))
    assert abs(got - maps(picture())).mean() < 0.02


def views() -> dict[str, Pixels]:
    """The picture, as arrays that lie in memory in many ways."""
    image = picture()
    wide = np.zeros((HEIGHT, WIDTH * 2, 5), np.uint8)
    wide[:, ::2, 1:4] = image
    rgba = np.dstack([image, np.full((HEIGHT, WIDTH), 7, np.uint8)])
    return {
        "contiguous": image,
        "read-only": np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape),
        "a slice": wide[:, ::2, 1:4],
        "rows backwards": image[::-1].copy()[::-1],
        "columns backwards": image[:, ::-1].copy()[:, ::-1],
        "channels backwards": image[..., ::-1].copy()[..., ::-1],
        "column-major": np.asfortranarray(image),
        "channels first, transposed": image.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        "with alpha": rgba,
        "every other row": np.repeat(image, 2, axis=0)[::2],
        "a subclass": image.view(np.recarray),
    }


@pytest.mark.parametrize("name", views())
def test_arrays(name: str, maps: Callable[[Any], Pixels]) -> None:
    np.testing.assert_array_equal(maps(views()[name]), maps(picture()))


def test_a_grey_array_has_three_equal_channels(maps: Callable[[Any], Pixels]) -> None:
    grey = picture()[..., 1]
    expected = maps(np.dstack([grey] * 3))
    np.testing.assert_array_equal(maps(grey), expected)
    np.testing.assert_array_equal(maps(grey[::-1][::-1]), expected)


@pytest.mark.parametrize("protocol", ["__array_interface__", "__array__"])
def test_anything_that_is_like_an_array(protocol: str, maps: Callable[[Any], Pixels]) -> None:
    image = picture()

    class Interface:
        __array_interface__ = image.__array_interface__

    class Array:
        def __array__(self, *_: object, **__: object) -> Pixels:
            return image

    source = Interface() if protocol == "__array_interface__" else Array()
    np.testing.assert_array_equal(maps(source), maps(image))


# ---- Depths and channels: what is defined for them, stated once for files and PIL.


def depths() -> dict[str, tuple[Image.Image, Pixels]]:
    """PIL images of many modes, and the 8-bit RGB that each means."""
    rgb = picture()
    image = Image.fromarray(rgb)
    grey = np.asarray(image.convert("L"))
    binary = grey > 127
    sixteen = (rgb[..., 0].astype(np.uint16) << 8) + 200  # the low byte is dropped, not rounded
    alpha = np.dstack([rgb, rgb[..., 1]])
    few = image.quantize(16)
    return {
        "RGB": (image, rgb),
        "L": (Image.fromarray(grey), np.dstack([grey] * 3)),
        "RGBA": (Image.fromarray(alpha), rgb),
        "LA": (Image.fromarray(np.dstack([grey, rgb[..., 1]])), np.dstack([grey] * 3)),
        "P": (few, np.asarray(few.convert("RGB"))),
        "1": (Image.fromarray(binary), np.dstack([binary * np.uint8(255)] * 3)),
        "I;16": (Image.fromarray(sixteen), np.dstack([rgb[..., 0]] * 3)),
    }


@pytest.mark.parametrize(
    ("mode", "way"),
    # OpenCV's reader of TIFF blends colour with black, see test_decode.py.
    sorted({*product(depths(), ("PIL", "PNG", "TIFF"))} - {("RGBA", "TIFF")}),
)
def test_depths_and_channels(mode: str, way: str, maps: Callable[[Any], Pixels]) -> None:
    image, expected = depths()[mode]
    source = image if way == "PIL" else encoded(way, image)
    np.testing.assert_array_equal(maps(source), maps(expected))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pil_modes_of_no_known_range(mode: str, maps: Callable[[Any], Pixels]) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=rf"mode '{mode}'.*range"):
        maps(Image.fromarray(picture()).convert(mode))


def test_sixteen_bits_of_colour(maps: Callable[[Any], Pixels]) -> None:
    """PIL knows no such images; OpenCV writes them."""
    sixteen = (picture()[..., ::-1].astype(np.uint16) << 8) + 200
    done, data = cv2.imencode(".png", sixteen)
    assert done
    np.testing.assert_array_equal(maps(data.tobytes()), maps(picture()))


# ---- Orientation.

#: What a person sees, from the pixels as they are stored.
ORIENTATIONS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("way", ["JPEG", "PNG", "WEBP", "PIL", "TIFF as PIL"])
def test_orientation(orientation: int, way: str, maps: Callable[[Any], Pixels]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ORIENTATIONS[orientation](picture())
    form = {"PIL": "JPEG", "TIFF as PIL": "TIFF"}.get(way, way)
    of_form: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    options = of_form.get(form, {})
    data = encoded(form, exif=exif, **options)
    source: Any = Image.open(io.BytesIO(data)) if "PIL" in way else data
    got = maps(source)
    assert got.shape[1:] == upright.shape[:2]
    assert abs(got - maps(np.ascontiguousarray(upright))).mean() < (
        0.02 if form == "JPEG" else 1e-6
    )


def test_no_orientation_is_upright(maps: Callable[[Any], Pixels]) -> None:
    for orientation in (0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        got = maps(encoded("PNG", exif=exif))
        np.testing.assert_array_equal(got, maps(picture()))


def test_a_file_opened_as_text_is_to_be_opened_as_bytes(
    selfie: ImageSegmentationModule, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    with (
        path.open(encoding="utf-8") as text,
        pytest.raises(
            etseg.InvalidUserInputError, match=r"TextIOWrapper given reads text.* mode 'rb'"
        ),
    ):
        selfie.forward(text)
