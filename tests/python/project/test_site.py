"""The documentation as it was built, in a browser; ETSEG_SITE names its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from children import PATIENCE

SITE = os.environ.get("ETSEG_SITE")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")

if SITE is None:
    pytest.skip("ETSEG_SITE names no built documentation", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the docs group")
if CHROMIUM is None:
    pytest.skip("needs chromium", allow_module_level=True)

#: Those that Sphinx makes of itself are looked at too.
PAGES = sorted(path.relative_to(SITE).as_posix() for path in Path(SITE).rglob("*.html"))
PAGES = [page for page in PAGES if not page.startswith("_")]

#: Pixels of a page that stand outside of the window, and what of it reaches farthest.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const beyond = document.documentElement.scrollWidth - width;
  if (beyond <= 0) return null;
  const right = e => e.getBoundingClientRect().right;
  const all = [...document.querySelectorAll("article *")].sort((a, b) => right(b) - right(a));
  return `${beyond} px, by ${all[0]?.outerHTML.slice(0, 200)}`;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            timeout=1000 * PATIENCE,
            args=["--no-sandbox", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    page.close()


def address(name: str) -> str:
    return (Path(str(SITE)).resolve() / name).as_uri()


def test_every_page_fits_a_phone_and_a_desk(page: Any) -> None:
    """Tables, code and signatures scroll in themselves, or wrap."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    overflowing = {}
    for name in PAGES:
        page.goto(address(name))
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            if found := page.evaluate(OVERFLOW):
                overflowing[name, width] = found
    assert len(PAGES) > 40
    assert overflowing == {}
    elsewhere = [url for url in requests if not url.startswith(("file:", "data:"))]
    assert elsewhere == []  # nobody else is told who reads


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gpu", "faq"),
        ("webcam", "howto/webcam"),
        ("accuracy", "faq"),
        ("arm", "faq"),
        ("raspberry", "faq"),
        ("windows", "faq"),
        ("fastapi", "howto/fastapi"),
        ("docker", "howto/docker"),
        ("rembg", "howto/from-rembg"),
        ("mediapipe", "howto/from-mediapipe"),
        ("pandas", "howto/pandas"),
        ("miou", "howto/evaluation"),
    ],
)
def test_search_finds(page: Any, words: str, expected: str) -> None:
    """By Sphinx's own search, over searchindex.js."""
    page.goto(address("search.html") + f"?q={words}")
    page.wait_for_selector("#search-results .search-summary:not(:empty)")
    found = page.eval_on_selector_all(
        "#search-results li > a", "links => links.map(link => link.getAttribute('href'))"
    )
    assert any(link.startswith(f"{expected}.html") for link in found[:5]), found


def test_code_can_be_copied_and_pages_have_a_face(page: Any) -> None:
    page.goto(address("quickstart.html"))
    blocks = page.locator("div.highlight").count()
    assert blocks > 5
    assert page.locator("div.highlight button.copybtn").count() == blocks
    icon = page.get_attribute("link[rel~=icon]", "href")
    card = page.get_attribute("meta[property='og:image']", "content")
    for file in (icon, "_static/" + card.rpartition("/")[2]):
        assert (Path(str(SITE)) / file).is_file()
