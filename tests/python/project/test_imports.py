"""Nothing is imported that a call does not use: what takes long to load, by what is done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from children import output_of

#: What takes long to import, or pulls much along, and that next to no call needs.
HEAVY = (
    *("asyncio", "base64", "concurrent.futures", "cv2", "email", "http", "importlib.metadata"),
    *("logging", "multiprocessing", "secrets", "socket", "ssl", "tempfile", "traceback"),
    *("urllib3", "zipfile", "PIL", "pandas", "torch"),
)
#: Parts of our own, of which each call uses a few.
OURS = (
    *("etseg._cli.segmenting.folders", "etseg._results.rle"),
    *("etseg._download.cache", "etseg._download.http", "etseg._weights.entries", "etseg.resources"),
    *("etseg._images.formats.avif", "etseg._images.formats.png", "etseg._images.formats.tiff"),
    *("etseg._results.notebook", "etseg._results.saving", "etseg._results.showing"),
    *("etseg._running.event_loop", "etseg.batch", "etseg.export", "etseg.serve"),
)
COMMANDS = tuple(f"etseg._cli.{name}" for name in ("batch", "doctor", "export", "models", "serve"))

COMMAND = """
    import sys
    from etseg._cli import main

    try:
        main(sys.argv[1:])
    except SystemExit as end:
        assert not end.code, end.code
    print("\\n" + " ".join(sys.modules))
    """


PACKAGE = Path(__file__).resolve().parents[3] / "python" / "etseg"


@pytest.mark.skipif(not PACKAGE.is_dir(), reason="needs a checkout")
def test_one_module_imports_opencv() -> None:
    """Whose error says what to install."""
    pattern = re.compile(r"^\s*import cv2", re.MULTILINE)
    naming = [path for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert naming == [PACKAGE / "_opencv.py"]


def loaded(output: str) -> set[str]:
    return set(output.splitlines()[-1].split())


def ours(modules: set[str]) -> set[str]:
    """Each is a file to find and read. The bounds leave room for some that all calls need."""
    return {name for name in modules if name.partition(".")[0] == "etseg"}


def test_import_etseg() -> None:
    modules = loaded(output_of("import etseg, sys; print(*sys.modules)"))
    assert "etseg._module" in modules
    assert modules & {*HEAVY, *OURS, "click", "simplejpeg", "json"} == set()
    assert len(ours(modules)) <= 65


def test_help() -> None:
    modules = loaded(output_of(COMMAND, "--help"))
    assert "etseg._cli.doctor" in modules
    assert modules & {*HEAVY, *OURS, "simplejpeg"} == set()


@pytest.mark.parametrize(
    ("options", "uses"),
    [
        ((), set()),
        (("--json",), {"json", "etseg._results.rle"}),
        (("--mask", "mask.png"), {"etseg._results.saving"}),
        (("--npz", "maps.npz"), {"etseg._results.saving", "zipfile"}),
    ],
    ids=["shares", "json", "mask", "npz"],
)
def test_segment(
    options: tuple[str, ...], uses: set[str], photo_path: Path, tmp_path: Path
) -> None:
    """A JPEG is decoded, and a label map written, without OpenCV."""
    modules = loaded(output_of(COMMAND, "segment", photo_path, *options, cwd=tmp_path))
    assert {"simplejpeg", "etseg._images.formats.jpeg", *uses} <= modules
    assert modules & {*HEAVY, *OURS, *COMMANDS} <= uses
    assert len(ours(modules) - uses) <= 95


def test_a_picture_needs_opencv(photo_path: Path, tmp_path: Path) -> None:
    """So that the tests above do not pass for want of looking."""
    arguments = ("segment", photo_path, "-o", "out.png")
    assert "cv2" in loaded(output_of(COMMAND, *arguments, cwd=tmp_path))
