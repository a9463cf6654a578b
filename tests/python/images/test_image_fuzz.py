"""Damaged images and nonsense strings: a result or an EtsegError, and not a word on stderr.

In this process: a crash would take the test run down, which is what it is meant to do.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

import etseg
from eyes import encoded, eyes, png_chunk, smooth
from programs import picture

IMAGES = 5000  # of each kind
STRINGS = 5000


@pytest.fixture(scope="module")
def module() -> Iterator[etseg.ImageSegmentationModule]:
    # Small, as headers that lie are taken at their word up to here.
    with eyes(limits=etseg.Limits(max_pixels=1_000_000)) as loaded:
        yield loaded


def _samples() -> dict[str, list[bytes]]:
    photo = Pil.fromarray(smooth(48, 80))
    noise = Pil.fromarray(picture())
    return {
        "jpeg": [
            encoded(photo, "JPEG", 6, quality=80),
            encoded(photo, "JPEG", quality=80, progressive=True),
            encoded(photo, "JPEG", quality=80, restart_marker_blocks=2),
            encoded(photo.convert("CMYK"), "JPEG"),
            encoded(photo.convert("L"), "JPEG"),
            encoded(Pil.fromarray(smooth(400, 700)), "JPEG", quality=30),  # decoded scaled
        ],
        "png": [
            encoded(noise, "PNG", 5),
            encoded(photo.quantize(16), "PNG", transparency=1),
            encoded(photo.convert("L"), "PNG"),
            encoded(photo, "PNG", icc_profile=b"no profile"),
        ],
        "webp": [
            encoded(photo, "WEBP", 3),
            encoded(noise, "WEBP", lossless=True),
            encoded(photo, "WEBP", save_all=True, append_images=[photo.rotate(5)]),
        ],
        "others": [
            encoded(photo, "TIFF", 7),
            encoded(photo, "TIFF", compression="tiff_lzw"),
            encoded(photo, "TIFF", compression="jpeg"),
            encoded(photo, "BMP"),
            encoded(photo.quantize(16), "GIF"),
            encoded(photo, "PPM"),
            encoded(photo, "JPEG2000"),
        ],
    }


def mutated(data: bytes, random: random.Random) -> bytes:
    """Cut off, bits flipped (anywhere, or near the start), a part repeated, lost or zeroed."""
    kind = random.randrange(5)
    if kind == 0:
        return data[: random.randrange(len(data))]
    changed = bytearray(data)
    if kind == 1:
        start = random.randrange(len(data))
        part = changed[start : start + random.randrange(1, 64)]
        changed[start : start + len(part)] = random.choice([b"", bytes(len(part)), part * 2])
        return bytes(changed)
    reach = len(data) if kind == 2 else min(len(data), 700 if kind == 3 else 64)
    for _ in range(random.choice([1, 1, 2, 8, 30])):
        changed[random.randrange(reach)] ^= 1 << random.randrange(8)
    return bytes(changed)


def outcome(call: Callable[[], object]) -> str:
    """What became of it; anything but a result or one of our errors goes through."""
    try:
        call()
    except etseg.EtsegError as error:
        return type(error).__name__
    return "result"


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "others"])
def test_mutated_images(
    module: etseg.ImageSegmentationModule,
    capfd: pytest.CaptureFixture[str],
    measured: Callable[[str, object], None],
    kind: str,
) -> None:
    chance = random.Random(f"images {kind}")
    samples = _samples()[kind]
    outcomes: Counter[str] = Counter()
    for turn in range(IMAGES):
        data = mutated(samples[turn % len(samples)], chance)
        outcomes[outcome(partial(module.forward, data, resize=turn % 2 == 0))] += 1
    measured("outcomes", dict(outcomes))
    assert set(outcomes) <= {"result", "FileReadError", "InvalidUserInputError"}
    assert outcomes["FileReadError"] > 100
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def _strings(folder: Path, chance: random.Random) -> Iterator[str]:
    photo = encoded(smooth(), "PNG")
    base = b64encode(photo).decode()
    path = folder / "ein Foto é.png"
    path.write_bytes(photo)
    seeds = [
        base,
        base.replace("+", "-").replace("/", "_"),
        f"data:image/png;base64,{base}",
        f"data:image/png;charset=utf-8;base64,{base}",
        "data:,%89PNG%0D%0A",
        "data:image/svg+xml,<svg/>",
        str(path),
        path.as_uri(),
        "file://localhost/tmp/x.png",
        "file://[::1]/x",
        "ftp://host/x.png",
        "C:\\Users\\me\\photo.jpg",
        "~/photo.jpg",
        "../../etc/passwd",
        "",
    ]
    alphabet = "abcXYZ019+/=-_:;,.%#?&@[]{}()<>\\ \t\n\0\x7féß中🙂\ud800\uffff"
    while True:
        text = list(chance.choice(seeds))
        for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
            place = chance.randrange(len(text) + 1)
            match chance.randrange(4):
                case 0:
                    text[place:place] = chance.choice(alphabet)
                case 1:
                    del text[place : place + chance.choice([1, 1, 10, 1000])]
                case 2:
                    text[place : place + 1] = chance.choice(alphabet)
                case _:
                    text[place:place] = text[: chance.randrange(40)]
        yield "".join(text)


def test_fuzzed_strings(
    module: etseg.ImageSegmentationModule,
    capfd: pytest.CaptureFixture[str],
    measured: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    outcomes: Counter[str] = Counter()
    strings = _strings(tmp_path, random.Random("strings"))
    for _, text in zip(range(STRINGS), strings, strict=False):
        outcomes[outcome(partial(module.forward, text))] += 1
    measured("outcomes", dict(outcomes))
    errors = {"FileReadError", "FileMissingError", "InvalidUserInputError"}
    assert set(outcomes) <= {"result", *errors}
    assert outcomes["result"] > 100
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[",
        "http://[::1",
        "https://@",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:x/",
        "http://\0/",
        "http://exa mple/",
        "http://" + "a" * 300 + "/",
        "http://é\ud800/",
        "HTTP://:80",
    ],
)
def test_urls_that_are_none(
    module: etseg.ImageSegmentationModule, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etseg._download.retrying.FIRST_PAUSE", 0.001)
    with pytest.raises(etseg.EtsegError):
        module.forward(url)


def test_png_whose_checksums_are_right(
    module: etseg.ImageSegmentationModule, capfd: pytest.CaptureFixture[str]
) -> None:
    # Damage that only inflating shows: filters that do not exist, among others.
    data = encoded(picture(), "PNG")
    start = data.index(b"IDAT")
    length = int.from_bytes(data[start - 4 : start], "big")
    chance = random.Random("deflate")
    for _ in range(200):
        payload = bytearray(data[start + 4 : start + 4 + length])
        payload[chance.randrange(length)] ^= 1 << chance.randrange(8)
        odd = data[: start - 4] + png_chunk(b"IDAT", bytes(payload)) + data[start + 8 + length :]
        assert outcome(partial(module.forward, odd)) in ("result", "FileReadError")
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes(module: etseg.ImageSegmentationModule, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, 100_000, np.uint8).tobytes()
    heads = [data[:size] for many in _samples().values() for data in many for size in (4, 16, 64)]
    for head in heads:
        outcome(partial(module.forward, head + noise))
