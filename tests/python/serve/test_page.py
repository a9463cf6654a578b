"""The page, in a real browser, as wide as a desk and as a phone; screenshots with --screenshots."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import etseg
from children import PATIENCE, finished, output_of
from programs import program
from servers import AS_LONG_AS_IT_TAKES, served

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("uvicorn", reason='needs pip install "etseg[serve]"')
pytest.importorskip("httptools")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    models = ("--model", "selfie-segmentation", "--model", program("logits_c3"))
    with served(*models, patience=AS_LONG_AS_IT_TAKES) as server:
        yield f"http://127.0.0.1:{server.port}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            timeout=1000 * PATIENCE,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield browser
        browser.close()


def is_error(message: Any) -> bool:
    """Of the page; that a photo was refused is told by the browser too."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """The page at one of the widths; fails where it asks another host, or something goes wrong."""
    width, height = SIZES[request.param]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        permissions=["camera", "clipboard-read", "clipboard-write"],
        has_touch=request.param == "phone",
        bypass_csp=True,  # of the tests' own scripts; test_its_policy_is_kept has it in force
    )
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: elsewhere.append(r.url) if not r.url.startswith(
        (address, "blob:", "data:")) else None)  # fmt: skip
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if is_error(m) else None)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert elsewhere == []
    assert errors == []


@pytest.fixture
def segmented(page: Any, photo_path: Path) -> Any:
    """The page with the photograph segmented."""
    page.set_input_files("#file", photo_path)
    page.wait_for_selector("#view:not([hidden])")
    page.wait_for_selector("body:not(.busy)")
    return page


@pytest.fixture
def shot() -> Callable[[Any, str], None]:
    """shot(page, name): a screenshot, where the environment variable SCREENSHOTS names a folder."""

    def take(page: Any, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            width = page.viewport_size["width"]
            page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)

    return take


def labels(page: Any) -> list[str]:
    return [str(text) for text in page.locator("#legend .name").all_text_contents()]


def test_a_photo_is_chosen(
    segmented: Any, photo_path: Path, shot: Callable[[Any, str], None]
) -> None:
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        areas = module.forward(photo_path.read_bytes(), resize=True).areas()
    assert labels(segmented) == [m.name for m in areas]
    shares = segmented.locator("#legend .share").all_text_contents()
    assert [share.split(" %")[0] for share in shares] == [
        f"{100 * area.share:.1f}" for area in areas.values()
    ]
    stages = segmented.locator("#timings th").all_text_contents()
    assert stages == ["decode", "preprocess", "inference", "postprocess", "total"]
    assert segmented.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(segmented, "chosen")


def test_the_empty_page(page: Any, shot: Callable[[Any, str], None]) -> None:
    assert page.locator("#choose").is_visible()
    assert page.locator("#panel").is_hidden()
    shot(page, "empty")
    page.emulate_media(color_scheme="dark")
    shot(page, "empty-dark")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_comes_otherwise(page: Any, photo_path: Path, way: str) -> None:
    data = list(photo_path.read_bytes())
    page.evaluate(
        """([bytes, way]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "a.jpg", {type: "image/jpeg"}));
            const event = way === "drop"
                ? new DragEvent("drop", {dataTransfer: transfer, cancelable: true, bubbles: true})
                : new ClipboardEvent("paste", {clipboardData: transfer});
            window.dispatchEvent(event);
        }""",
        [data, way],
    )
    page.wait_for_selector("#view:not([hidden])")
    assert labels(page) == ["SELFIE", "BACKGROUND"]


def test_the_pointer_reads_the_label_and_its_probability(segmented: Any, photo_path: Path) -> None:
    area = segmented.locator("#picture").bounding_box()
    segmented.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    segmented.wait_for_function("document.getElementById('pointer').textContent.includes('prob')")
    text = segmented.text_content("#pointer")
    assert text.startswith("SELFIE at 256, 256, probability ")
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        result = module.forward(photo_path.read_bytes(), ["SELFIE"])
    expected = result["SELFIE"][result.size[0] // 2, result.size[1] // 2]
    assert float(text.rsplit(" ", 1)[1]) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("x", "y"), [(0.1, 0.1), (0.9, 0.2), (0.3, 0.8)])
def test_the_pointer_is_where_it_is_seen(segmented: Any, x: float, y: float) -> None:
    """Of a picture that is not as wide as its area, too."""
    area = segmented.locator("#picture").bounding_box()
    side = min(area["width"], area["height"])  # it is square
    left = area["x"] + (area["width"] - side) / 2
    top = area["y"] + (area["height"] - side) / 2
    segmented.mouse.move(left + x * side, top + y * side)
    text = segmented.text_content("#pointer")
    column, row = map(int, re.findall(r"at (\d+), (\d+)", text)[0])
    assert (column, row) == (pytest.approx(x * 512, abs=2), pytest.approx(y * 512, abs=2))


def test_the_keyboard_reaches_everything(segmented: Any) -> None:
    segmented.focus("#picture")
    segmented.keyboard.press("ArrowLeft")
    assert "at 246, 256" in segmented.text_content("#pointer")
    seen = set()
    segmented.focus("#model")
    for _ in range(40):
        segmented.keyboard.press("Tab")
        seen.add(segmented.evaluate("document.activeElement.id || document.activeElement.type"))
    assert {"picture", "another", "live", "opacity", "checkbox", "button", "curl"} <= seen


def painted(page: Any) -> list[int]:
    """A pixel of the person, as it is on the canvas."""
    return list(
        page.evaluate(
            "[...document.getElementById('picture').getContext('2d')"
            ".getImageData(256, 300, 1, 1).data]"
        )
    )


def test_opacity_and_switches(segmented: Any, astronaut: Any) -> None:
    plain = [int(v) for v in astronaut[300, 256]]
    assert painted(segmented)[:3] != pytest.approx(plain, abs=10)
    segmented.evaluate(
        "() => { const o = document.getElementById('opacity'); o.value = 100;"
        " o.dispatchEvent(new Event('input')); }"
    )
    assert painted(segmented)[:3] == [0xFF, 0x5A, 0x36]
    assert segmented.text_content("#percent") == "100 %"
    segmented.locator("#legend input").first.uncheck()
    assert painted(segmented)[:3] == pytest.approx(plain, abs=6)  # two JPEG decoders


def test_another_model(segmented: Any) -> None:
    segmented.select_option("#model", "logits_c3")
    segmented.wait_for_function(
        "document.querySelector('#legend .name').textContent.startsWith('CLASS')"
    )
    assert set(labels(segmented)) <= {"CLASS_0", "CLASS_1", "CLASS_2"}


@pytest.mark.parametrize("kind", ["overlay", "cutout", "mask", "json"])
def test_downloads(segmented: Any, kind: str) -> None:
    with segmented.expect_download() as waiting:
        segmented.click(f"[data-download={kind}]")
    name = waiting.value.suggested_filename
    data = Path(waiting.value.path()).read_bytes()
    assert name == f"astronaut-{kind}.{'json' if kind == 'json' else 'png'}"
    if kind == "json":
        assert json.loads(data)["labels"][0]["rle"]["size"] == [512, 512]
        return
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape[:2] == (512, 512)
    assert struct.unpack(">I", data[16:20]) == (512,)
    assert picture.ndim == (2 if kind == "mask" else 3)


def test_lines_for_programs(segmented: Any) -> None:
    segmented.click("[data-copy=curl]")
    copied = segmented.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --data-binary @astronaut.jpg 'http://127.0.0.1:")
    assert "module.load(etseg.CATALOGUE" in segmented.text_content("#python")


def test_the_lines_give_what_the_page_shows(segmented: Any, photo_path: Path) -> None:
    curl = shlex.split(segmented.text_content("#curl"))
    if shutil.which(curl[0]):
        answered = json.loads(finished(*curl, cwd=photo_path.parent).stdout)
        assert [entry["label"] for entry in answered["labels"]] == labels(segmented)
    said = output_of(segmented.text_content("#python"), cwd=photo_path.parent)
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        assert said == repr(module.forward(photo_path, resize=True).areas())


def test_the_camera(page: Any, shot: Callable[[Any, str], None]) -> None:
    page.click("#camera")
    page.wait_for_selector("#view:not([hidden])")
    assert page.get_attribute("#live", "aria-pressed") == "true"
    turn = page.text_content("#timings")
    page.wait_for_function(
        "before => document.getElementById('timings').textContent !== before", arg=turn
    )
    shot(page, "camera")
    page.click("#live")
    assert page.get_attribute("#live", "aria-pressed") == "false"


def test_what_is_no_photo_says_so(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with page.expect_response("**/v1/segment**"):
        page.set_input_files("#file", broken)
    page.wait_for_selector("#message:not([hidden])")
    assert page.locator("#view").is_hidden()


def test_nothing_serious_for_axe(segmented: Any, shot: Callable[[Any, str], None]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for scheme in ("light", "dark"):
        segmented.emulate_media(color_scheme=scheme)
        shot(segmented, f"segmented-{scheme}")
        found = axe.Axe().run(segmented).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_its_policy_is_kept(browser: Any, address: str, photo_path: Path) -> None:
    """Nothing on the page needs what its Content-Security-Policy forbids."""
    context = browser.new_context()
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(address)
    page.set_input_files("#file", photo_path)
    page.wait_for_selector("#legend .swatch")
    page.locator("#legend input").first.uncheck()
    page.hover("#picture")
    assert errors == []
    context.close()
