"""Limits: refused before it is decoded, downloaded or waited for."""

from __future__ import annotations

import dataclasses
import io
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pil
from PIL import features

import etseg
from etseg._images.formats import BadHeader, View
from etseg._images.formats.av1 import stream_size
from eyes import encoded, eyes, png16, png_chunk, seen, smooth
from http_server import Fault, Server
from programs import picture
from raw_server import raw_serving, saying

pytestmark = pytest.mark.usefixtures("cache")  # no proxy, no long waits


@pytest.fixture(scope="module")
def module() -> Iterator[etseg.ImageSegmentationModule]:
    with eyes() as loaded:
        yield loaded


def limited(**limits: float) -> etseg.ImageSegmentationModule:
    return eyes(limits=etseg.Limits(**limits))  # type: ignore[arg-type]


def test_defaults_are_frozen() -> None:
    limits = etseg.Limits()
    assert limits.max_pixels == 200_000_000
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.max_pixels = 1  # type: ignore[misc]
    assert limits == etseg.Limits()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_pixels", 0),
        ("max_pixels", 1.5),
        ("max_pixels", "many"),
        ("max_pixels", True),
        ("max_file_bytes", 0),
        ("max_download_bytes", 0),
        ("max_download_bytes", None),
        ("max_redirects", -1),
        ("connect_timeout", 0),
        ("connect_timeout", float("inf")),
        ("read_timeout", float("nan")),
        ("read_timeout", "1"),
        ("read_timeout", None),
    ],
)
def test_fields_are_checked(field: str, value: object) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=field):
        etseg.Limits(**{field: value})  # type: ignore[arg-type]


def test_limits_are_limits() -> None:
    with pytest.raises(etseg.InvalidConfigError, match=r"etseg\.Limits"):
        etseg.ImageSegmentationModule(limits={"max_pixels": 1})  # type: ignore[arg-type]


class Raw(io.FileIO):
    """Gives half of what it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        return super().read(max(1, size // 2 if size < 100 else 50)) or b""


@contextmanager
def closing_of(source: Any) -> Iterator[Any]:
    """The source; closed in the end, if it can be."""
    yield source
    if hasattr(source, "close"):
        source.close()


KINDS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000"]


@pytest.mark.parametrize("kind", KINDS)
def test_max_pixels(kind: str) -> None:
    try:
        data = encoded(smooth(), kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    with (
        limited(max_pixels=24 * 40 - 1) as module,
        pytest.raises(etseg.InvalidUserInputError, match="40x24 pixels, more than the 959 of"),
    ):
        module.forward(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_max_pixels_is_inclusive(kind: str) -> None:
    with limited(max_pixels=24 * 40) as module:
        module.forward(encoded(smooth(), kind))


@pytest.mark.parametrize("form", [Path, str, Path.as_uri, partial(open, mode="rb"), Raw])
def test_max_file_bytes(form: Callable[[Path], Any], tmp_path: Path) -> None:
    data = encoded(smooth(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with limited(max_file_bytes=len(data)) as module, closing_of(form(path)) as source:
        module.forward(source)
    with (
        limited(max_file_bytes=len(data) - 1) as module,
        closing_of(form(path)) as source,
        pytest.raises(
            etseg.InvalidUserInputError, match=f"{len(data) - 1} bytes of Limits.max_file_bytes"
        ),
    ):
        module.forward(source)


def test_a_file_larger_than_memory(module: etseg.ImageSegmentationModule, tmp_path: Path) -> None:
    """It has holes: it takes no room on the disk."""
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    for source in (path, str(path), path.as_uri()):
        with pytest.raises(etseg.InvalidUserInputError, match="max_file_bytes"):
            module.forward(source)


def test_a_stream_without_end() -> None:
    """No more is asked of it than the limit and one byte, in pieces."""
    asked = []

    class Endless:
        def read(self, size: int) -> bytes:
            asked.append(size)
            return bytes(size)

    with (
        limited(max_file_bytes=10_000_000) as module,
        pytest.raises(etseg.InvalidUserInputError, match="has more than the 10,000,000 bytes"),
    ):
        module.forward(Endless())
    assert sum(asked) == 10_000_001
    assert max(asked) <= 1 << 20


def test_max_pixels_of_pil() -> None:
    with (
        limited(max_pixels=24 * 40 - 1) as module,
        pytest.raises(etseg.InvalidUserInputError, match="max_pixels"),
    ):
        module.forward(Pil.fromarray(smooth()))


def test_arrays_are_in_memory_already() -> None:
    with limited(max_pixels=1) as module:
        seen(module, smooth())


@cache
def _bombs() -> dict[str, bytes]:
    """Files of a few hundred bytes that claim 50000x50000 pixels or so."""
    jpeg = bytearray(encoded(smooth(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 50000, 50000)
    png = png16(picture()[..., 0].astype("uint16"))
    head = struct.pack(">IIBBBBB", 50000, 50000, 8, 2, 0, 0, 0)
    png = png[:8] + png_chunk(b"IHDR", head) + png[33:]
    webp = bytearray(encoded(smooth(), "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", 16383 | 16383 << 14)
    bmp = bytearray(encoded(smooth(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 50000, 50000)
    gif = bytearray(encoded(smooth(), "GIF"))
    gif[6:10] = struct.pack("<HH", 50000, 50000)
    tiff = bytearray(encoded(smooth(), "TIFF"))
    at = struct.unpack_from("<I", tiff, 4)[0] + 2
    for entry in range(at, at + 24, 12):  # width and height are the first two
        struct.pack_into("<HHII", tiff, entry, *struct.unpack_from("<H", tiff, entry), 4, 1, 50000)
    jpeg2000 = bytearray(encoded(smooth(), "JPEG2000"))
    size = jpeg2000.index(b"\xff\x4f\xff\x51") + 8
    jpeg2000[size : size + 8] = struct.pack(">II", 50000, 50000)  # the boxes still say 40x24
    jpeg2000[size + 16 : size + 24] = struct.pack(">II", 50000, 50000)
    return {
        "jpeg": bytes(jpeg),
        "png": png,
        "webp": bytes(webp),
        "bmp": bytes(bmp),
        "gif": bytes(gif),
        "tiff": bytes(tiff),
        "jpeg2000": bytes(jpeg2000),
        "ppm": b"P6\n# a comment\n50000 50000\n255\n" + bytes(100),
        "ppm, zeros": b"P6\n0000000000050000 0000000000050000\n255\n" + bytes(100),
        "bmp of OS/2": b"BM"
        + struct.pack("<IIIIHHHH", 0, 0, 26, 12, 65535, 65535, 1, 24)
        + bytes(9),
    }


@pytest.mark.parametrize("kind", _bombs())
def test_bombs(module: etseg.ImageSegmentationModule, kind: str) -> None:
    bomb = _bombs()[kind]
    tracemalloc.start()
    try:
        with pytest.raises(etseg.InvalidUserInputError, match="max_pixels"):
            module.forward(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def _tiff(*tags: tuple[int, int, int]) -> bytes:
    """A grey TIFF of 10x10 pixels, with further tags behind those it needs: tag, type, value."""
    needed = [(256, 3, 10), (257, 3, 10), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    needed += [(277, 3, 1), (278, 3, 10), (279, 4, 100)]
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in (*needed, *tags)]
    head = b"II*\0" + struct.pack("<I", 108) + bytes(100)
    return head + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def _jpeg2000(at: int, form: str, *values: int, **options: Any) -> bytes:
    """A codestream in which something else stands at one place."""
    data = bytearray(encoded(smooth(600, 600), "JPEG2000", no_jp2=True, **options))
    struct.pack_into(form, data, at, *values)
    return bytes(data)


def _gif_of_clear_codes() -> bytes:
    """A picture of 10x10, whose 12,000 codes of three bits all clear the table."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    picture = b"\x2c" + struct.pack("<HHHHBB", 0, 0, 10, 10, 0, 2)
    block = bytes([252]) + bytes.fromhex("244992") * 84
    return screen + picture + block * 18 + b"\0;"


def _coding(**options: object) -> bytes:
    return encoded(smooth(), "JPEG2000", no_jp2=True, **options)  # type: ignore[arg-type]


@cache
def _liars() -> dict[str, tuple[bytes, str]]:
    """Files that say one size where a reader looks, and make their decoder take another."""
    avif = encoded(smooth(), "AVIF") if features.check("avif") else b""
    sizes = avif.find(b"ispe") + 8
    jp2 = encoded(smooth(), "JPEG2000")
    small = jp2[jp2.index(b"\xff\x4f\xff\x51") :]
    large = bytearray(jp2)
    size = jp2.index(b"\xff\x4f\xff\x51") + 8
    large[size : size + 8] = large[size + 16 : size + 24] = struct.pack(">II", 9999, 9999)
    decoy = struct.pack(">I4s", 8 + len(small), b"free") + small
    coding = _coding().index(b"\xff\x52")
    return {
        "TIFF whose height stands twice": (_tiff((257, 4, 50_000)), "stands twice"),
        "TIFF of large tiles": (_tiff((322, 4, 8192), (323, 4, 8192)), "tiles"),
        "TIFF of as many strips as pixels": (
            _tiff().replace(
                struct.pack("<HHII", 257, 3, 1, 10), struct.pack("<HHII", 257, 4, 1, 90_000)
            ).replace(struct.pack("<HHII", 278, 3, 1, 10), struct.pack("<HHII", 278, 3, 1, 1)),
            "strips",
        ),
        "GIF of codes that make no pixels": (_gif_of_clear_codes(), "more codes than pixels"),
        "TIFF of many channels": (_tiff()[:-4].replace(
            struct.pack("<HHII", 277, 3, 1, 1), struct.pack("<HHII", 277, 3, 1, 5)
        ) + bytes(4), "channels"),
        "TIFF of light": (_tiff()[:-4].replace(
            struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 32845)
        ) + bytes(4), "photometric"),
        "AVIF whose boxes say less": (
            avif[:sizes] + struct.pack(">II", 4, 4) + avif[sizes + 8 :], "disagree about the size"
        ),
        "JPEG 2000 behind a decoy": (bytes(large[:32]) + decoy + bytes(large[32:]), "max_pixels"),
        "JPEG 2000 of tiny tiles": (_jpeg2000(24, ">II", 1, 1), "too many"),
        "JPEG 2000 of tiny precincts": (
            encoded(smooth(200, 200), "JPEG2000", no_jp2=True, precinct_size=(4, 4)), "too many"
        ),
        "JPEG 2000 of tiny blocks": (_jpeg2000(coding + 10, "BB", 0, 0), "16x16"),
        "JPEG 2000 of many layers": (
            _jpeg2000(coding + 6, ">H", 65535, precinct_size=(64, 64)), "too many"
        ),
        "JPEG 2000 with a size in a comment that is none": (
            small[:43 + 8] + b"\xff\x30\0\x04\xff\x51" + small[43 + 8 :], "extensions"
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", _liars())
def test_a_file_that_says_two_sizes(name: str) -> None:
    """Each is refused before anything is decoded."""
    data, word = _liars()[name]
    if "AVIF" in name and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    with (
        limited(max_pixels=1_000_000) as module,
        pytest.raises((etseg.FileReadError, etseg.InvalidUserInputError), match=word),
    ):
        module.forward(data)


def _sequence(width: int, height: int, bits: int, reduced: bool, timing: bool = False) -> View:
    """An AV1 stream of nothing but a sequence header, with so many bits for each side."""
    fields = [(0, 3), (1, 1), (reduced, 1)]
    fields += [(5, 5)] if reduced else [(timing, 1), (0, 1), (0, 5), (0, 12), (5, 5)]
    fields += [(bits - 1, 4), (bits - 1, 4), (width - 1, bits), (height - 1, bits), (0, 64)]
    text = "".join(f"{int(value):0{length}b}" for value, length in fields)
    unit = bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))
    return View(memoryview(b"\x0a" + bytes([len(unit)]) + unit))


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (40, 24), (512, 512), (513, 600), (65536, 40000)])
def test_the_size_of_an_av1_stream(size: tuple[int, int], reduced: bool) -> None:
    needed = max(1, (max(size) - 1).bit_length())
    if reduced or min(size).bit_length() >= needed:
        assert stream_size(_sequence(*size, needed, reduced)) == size
    assert stream_size(_sequence(*size, 16, True)) == size


def test_an_av1_stream_whose_frames_could_be_larger() -> None:
    assert stream_size(_sequence(512, 512, 10, False)) == (512, 512)  # as some encoders write it
    for bits in (11, 16):
        with pytest.raises(BadHeader, match="larger than the image"):
            stream_size(_sequence(512, 512, bits, False))
    with pytest.raises(BadHeader, match="film"):
        stream_size(_sequence(512, 512, 9, False, timing=True))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_an_avif_of_many_frames_is_refused() -> None:
    """They need not be shown, and so cost nothing but time."""
    avif = encoded(smooth(), "AVIF")
    stream = avif[avif.index(b"mdat") + 4 :]
    assert stream_size(View(memoryview(stream))) == (40, 24)
    with pytest.raises(BadHeader, match="film"):
        stream_size(View(memoryview(stream + b"\x32\0" * 8)))


def test_the_honest_twins_of_the_liars(module: etseg.ImageSegmentationModule) -> None:
    module.forward(_tiff())
    for data in (_coding(), _coding(precinct_size=(64, 64)), _coding(quality_layers=[9, 5, 2])):
        module.forward(data)


def test_the_header_of_a_frame_binds_the_pixels() -> None:
    # An animation whose canvas is small and whose picture is not, and the other way round.
    data = bytearray(encoded(smooth(), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"))
    assert data[12:16] == b"VP8X"
    data[24:30] = struct.pack("<I", 3)[:3] + struct.pack("<I", 3)[:3]
    with limited(max_pixels=100) as module, pytest.raises(etseg.FileReadError):
        module.forward(bytes(data))


def test_an_image_by_url(module: etseg.ImageSegmentationModule, server: Server) -> None:
    url = server.add("/photo.png", encoded(picture(), "PNG"))
    assert (seen(module, url) == picture()).all()
    server.files["/old"] = server.files["/photo.png"]
    server.add("/moved", b"", always=Fault(status=302, headers={"Location": "/photo.png"}))
    assert (seen(module, server.url("/moved")) == picture()).all()


def test_url_without_an_image(module: etseg.ImageSegmentationModule, server: Server) -> None:
    with pytest.raises(etseg.FileReadError, match=r"page\.html"):
        module.forward(server.add("/page.html", b"<html></html>"))
    with pytest.raises(etseg.DownloadError, match="404"):
        module.forward(server.url("/nothing"))


@pytest.mark.parametrize("chunked", [False, True])
def test_max_download_bytes(server: Server, chunked: bool) -> None:
    data = encoded(picture(), "PNG")
    url = server.add("/photo.png", data, chunked=chunked)
    with limited(max_download_bytes=len(data)) as module:
        seen(module, url)
    with (
        limited(max_download_bytes=len(data) - 1) as module,
        pytest.raises(etseg.DownloadError, match=f"{len(data) - 1}|{len(data) - 1:,}"),
    ):
        module.forward(url)


@pytest.mark.parametrize(
    "size", [b"7fffffffffffffff", b"f" * 16, b"-1", b"-" + b"f" * 20, b"z", b""]
)
def test_a_chunk_that_cannot_be(size: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        raw_serving(saying(head + size + b"\r\nbody")) as server,
        limited(total_timeout=60) as module,
        pytest.raises(etseg.DownloadError),
    ):
        module.forward(server.url)


def test_read_timeout(server: Server) -> None:
    url = server.add("/photo.png", encoded(picture(), "PNG"), always=Fault(drip=True))
    with limited(read_timeout=0.05) as module, pytest.raises(etseg.DownloadError):
        module.forward(url)


def test_max_redirects(server: Server) -> None:
    server.add("/loop", b"", always=Fault(status=302, headers={"Location": "/loop"}))
    with limited(max_redirects=3) as module, pytest.raises(etseg.DownloadError, match="redirect"):
        module.forward(server.url("/loop"))
    assert len(server.requests) <= 4


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_stay_with_http(
    module: etseg.ImageSegmentationModule, server: Server, target: str
) -> None:
    server.add("/away", b"", always=Fault(status=302, headers={"Location": target}))
    with pytest.raises(etseg.DownloadError):
        module.forward(server.url("/away"))


@pytest.mark.parametrize("uri", ["ftp://h/a.png", "gopher://h/a", "s3://b/k", "javascript://x"])
def test_other_schemes_are_refused(
    module: etseg.ImageSegmentationModule, uri: str, tmp_path: Path
) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match="has the scheme"):
        module.forward(uri)
    assert not list(tmp_path.glob("*.png"))
