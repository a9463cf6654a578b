"""What a notebook shows of a result: the picture and its legend, small and safe to show."""

from __future__ import annotations

import base64
import io
import logging
from enum import IntEnum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil

import etseg
from conftest import Image
from etseg import _html
from eyes import encoded, eyes, smooth
from programs import picture, program

Rude = IntEnum("Rude", {"<script>alert(1)</script>": 0, 'A"B&C': 1, "PLAIN": 2})  # type: ignore[misc]


class Shown(HTMLParser):
    """The pictures, table rows and words of a page; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.swatches: list[str] = []
        self.notes = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "img", "table", "tr", "td", "span", "small"}
        if tag == "img":
            self.images.append(dict(attributes))
            return
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif tag == "span":
            self.swatches.append(str(dict(attributes)["style"]).rpartition("background:")[2])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open:
            self.rows[-1][-1] += data
        else:
            self.notes += data

    def picture(self) -> Pil.Image:
        (image,) = self.images
        head, data = str(image["src"]).split(",")
        opened = Pil.open(io.BytesIO(base64.b64decode(data)))
        assert head == f"data:image/{str(opened.format).lower()};base64"
        assert (image["width"], image["height"]) == tuple(map(str, opened.size))
        return opened


def shown(result: etseg.SegmentationResult) -> Shown:
    """Not through _repr_html_: an error is to be seen here."""
    text = _html.html(result)
    assert result._repr_html_() == text
    return Shown(text)


def test_the_picture_and_its_legend(selfie: Any, astronaut: Image) -> None:
    result = selfie.forward(astronaut, resize=True)
    page = shown(result)
    assert [row[1:] for row in page.rows] == [
        [member.name, f"{area.share:.1%}"]
        for member, area in sorted(result.areas().items(), key=lambda item: -item[1].pixels)
    ]
    assert page.swatches == ["rgb(128,0,0)", "transparent"]
    assert page.notes == ""
    expected = result.overlay(outline=True).astype(int)
    assert np.abs(np.asarray(page.picture()) - expected).mean() < 3  # a JPEG
    with Pil.open(io.BytesIO(result._repr_png_())) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), expected)


SIZES = {
    (24, 40): (24, 40),
    (600, 1000): (307, 512),
    (3000, 1000): (512, 171),
    (90, 2000): (23, 512),
}


@pytest.mark.parametrize(("size", "expected"), SIZES.items())
def test_is_of_bounded_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """And looks as the whole overlay does, from afar."""
    image = smooth(*size)
    with eyes() as module:
        result = module.forward(image)
    page = shown(result)
    small = page.picture().convert("RGB")
    assert small.size == expected[::-1]
    whole = Pil.fromarray(result.overlay()).resize(small.size, Pil.Resampling.BOX)
    plain = ~(np.asarray(small) > 235).all(axis=-1)  # no outline
    difference = np.abs(np.asarray(small).astype(int) - np.asarray(whole))
    assert np.median(difference[plain]) <= 6
    assert len(result._repr_html_() or "") < 300_000


def test_a_file_is_read_again(selfie: Any, photo_path: Path, astronaut: Image) -> None:
    page = shown(selfie.forward(photo_path))
    assert page.notes == ""
    expected = selfie.forward(astronaut).overlay(outline=True)
    assert np.abs(np.asarray(page.picture()).astype(int) - expected).mean() < 3


def test_without_the_image(selfie: Any, astronaut: Image, tmp_path: Path) -> None:
    """The labels alone, and why."""
    path = tmp_path / "<b>.png"
    path.write_bytes(encoded(astronaut, "PNG"))
    gone = selfie.forward(path)
    path.unlink()
    read = selfie.forward(io.BytesIO(encoded(astronaut, "PNG")))
    for result, why in ((gone, "<b>.png"), (read, "open file")):
        page = shown(result)
        assert why in page.notes
        picture = page.picture()
        assert (picture.format, picture.mode) == ("PNG", "RGBA")
        np.testing.assert_array_equal(np.asarray(picture), result.colorize())
        with Pil.open(io.BytesIO(result._repr_png_())) as image:
            np.testing.assert_array_equal(np.asarray(image), result.colorize())


def test_names_are_text() -> None:
    with etseg.ImageSegmentationModule() as module:
        module.load({"model_source": program("logits_c3"), "labels": Rude})
        result = module.forward(picture(), [0])
    result.argmax[:] = np.arange(40) % 3
    page = shown(result)  # which knows no tag "script"
    assert sorted(row[1] for row in page.rows) == sorted(Rude.__members__)
    assert "script" in str(page.images[0]["alt"])


def test_a_legend_of_hundreds_is_cut_off() -> None:
    with etseg.ImageSegmentationModule() as module:
        module.load(program("logits_c300"))
        result = module.forward(picture(8, 12))
    result.argmax.flat[:] = np.repeat(np.arange(48) * 5, 2)
    result.argmax.flat[:4] = 7
    page = shown(result)
    assert [row[1] for row in page.rows[:2]] == ["CLASS_7", "CLASS_10"]
    assert len(page.rows) == 13
    assert page.rows[-1][1] == "and 35 more"


def test_a_share_that_is_all_but_nothing() -> None:
    with eyes() as module:
        result = module.forward(np.zeros((100, 100, 3), np.uint8), resize=True)
    result.argmax[0, 0] = 2
    assert [row[1:] for row in shown(result).rows] == [["R", "100.0%"], ["B", "< 0.1%"]]


def test_an_error_shows_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """A notebook falls back to repr(); the log says why."""
    with eyes() as module:
        result = module.forward(smooth())
    result.argmax[0, 0] = 99
    with caplog.at_level(logging.WARNING, "etseg"):
        assert result._repr_html_() is None
        assert result._repr_png_() is None
    assert caplog.text.count("ARGMAX holds 99") == 2
    assert repr(result) == "<SegmentationResult 24x40: ARGMAX>"
    caplog.clear()
    result.argmax[0, 0] = 0
    assert result._repr_html_() is not None
    assert caplog.records == []
