"""The command `etseg`, as installed: what it prints and where, what it writes, how it ends."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import etseg
from children import finished, output_of
from programs import program

Run = Callable[..., "subprocess.CompletedProcess[str]"]

COMMAND = Path(sysconfig.get_path("scripts")) / "etseg"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run(*arguments): the command, in an empty directory."""

    def execute(*arguments: object) -> subprocess.CompletedProcess[str]:
        if not COMMAND.exists():
            pytest.skip(f"{COMMAND} is not here: etseg is not installed in this environment")
        return finished(COMMAND, *arguments, cwd=tmp_path, PYTHONWARNINGS="error")

    return execute


@pytest.fixture
def succeed(run: Run) -> Callable[..., str]:
    """succeed(*arguments): what it prints; it must end well, and say nothing on stderr."""

    def execute(*arguments: object) -> str:
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    return execute


@pytest.fixture
def fail(run: Run) -> Callable[..., str]:
    """fail(code, *arguments): its one error on stderr, no traceback, nothing on stdout."""

    def execute(code: int, *arguments: object) -> str:
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert "Traceback" not in done.stderr
        assert "Error: " in done.stderr
        return done.stderr

    return execute


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str, succeed: Callable[..., str]) -> None:
    assert re.search(r"segment\s+Segment photos", succeed(option))
    text = succeed("segment", option)
    for word in ("--output", "--mask", "--model", "--classes", "--no-resize", "Exit status"):
        assert word in text


def test_version(succeed: Callable[..., str]) -> None:
    assert succeed("--version").split()[-1] == etseg.__version__


def test_it_runs_as_a_module(succeed: Callable[..., str], tmp_path: Path) -> None:
    """Where the script is not on the path, or belongs to another interpreter."""

    def as_module(*arguments: str) -> subprocess.CompletedProcess[str]:
        return finished(sys.executable, "-m", "etseg", *arguments, cwd=tmp_path)

    assert as_module("models").stdout == succeed("models")
    usage = as_module("segment")
    assert usage.returncode == 2
    assert usage.stderr.startswith("Usage: python -m etseg segment ")


def test_models(succeed: Callable[..., str]) -> None:
    lines = succeed("models").splitlines()
    assert [line.split()[0] for line in lines] == list(etseg.CATALOGUE)
    assert any(line.startswith("selfie-segmentation ") and "package" in line for line in lines)


def test_segment_prints_shares_and_times(succeed: Callable[..., str], photo_path: Path) -> None:
    text = succeed("segment", photo_path)
    assert "512x512 pixels" in text
    shares = dict(re.findall(r"^(\w+) +([\d.]+)%", text, re.M))
    assert set(shares) == {"PERSON", "BACKGROUND"}
    assert sum(map(float, shares.values())) == pytest.approx(100, abs=0.02)
    assert 20 < float(shares["PERSON"]) < 80
    assert "mean probability" not in text
    times = re.findall(r"(decode|preprocess|inference|postprocess) ([\d.]+) ms", text)
    assert len(times) == 4
    assert all(float(time) > 0 for _, time in times)


def test_segment_writes_a_picture_and_a_mask(
    succeed: Callable[..., str], photo_path: Path, tmp_path: Path, selfie: Any
) -> None:
    text = succeed("segment", photo_path, "-o", "overlay.png", "--mask", "mask.png")
    assert "wrote" not in text
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        mask = np.asarray(image)
    np.testing.assert_array_equal(mask, selfie.forward(photo_path, resize=True).argmax)
    overlay = cv2.imread(str(tmp_path / "overlay.png")).astype(int)
    photo = cv2.imread(str(photo_path)).astype(int)
    # Between the two runs an outline.
    background = cv2.erode((mask == 1).astype(np.uint8), np.ones((15, 15))) > 0
    assert background.mean() > 0.2
    np.testing.assert_array_equal(overlay[background], photo[background])  # unpainted
    assert abs(overlay - photo)[mask == 0].mean() > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "overlay.png"]


def test_segment_reports_asked_classes(succeed: Callable[..., str], photo_path: Path) -> None:
    text = succeed("segment", photo_path, "--classes", "SELFIE, background")
    means = [float(mean) for mean in re.findall(r"% +([\d.]+)$", text, re.M)]
    assert len(means) == 2
    assert sum(means) == pytest.approx(1, abs=0.002)


def test_an_asked_class_without_a_pixel_is_reported(
    succeed: Callable[..., str], photo_path: Path
) -> None:
    """The last class of this program never wins."""
    text = succeed(
        "segment", photo_path, "--model", program("logits_c21"), "--classes", "TVMONITOR"
    )
    assert re.search(r"^TVMONITOR +0\.00% +0\.\d+$", text, re.M)


def test_segment_without_resize(
    succeed: Callable[..., str], photo_path: Path, tmp_path: Path
) -> None:
    text = succeed(
        "segment", photo_path, "--no-resize", "--output", "o.jpg", "--mask", "m.png",
        "--model", "selfie-segmentation-landscape",
    )  # fmt: skip
    assert "512x512 pixels" in text
    assert cv2.imread(str(tmp_path / "o.jpg")).shape[:2] == (512, 512)
    assert cv2.imread(str(tmp_path / "m.png")).shape[:2] == (144, 256)


@pytest.mark.parametrize("way", ["URI", "base64", "data URI"])
def test_segment_takes_what_forward_takes(
    way: str, succeed: Callable[..., str], tmp_path: Path
) -> None:
    image = tmp_path / "ä b.png"
    cv2.imwrite(str(image), np.zeros((5, 7, 3), np.uint8))
    encoded = base64.b64encode(image.read_bytes()).decode()
    source = {"URI": image.as_uri(), "base64": encoded, "data URI": "data:;base64," + encoded}
    assert "7x5 pixels" in succeed("segment", source[way])


def test_segment_takes_a_model_by_path(
    succeed: Callable[..., str], photo_path: Path, tmp_path: Path
) -> None:
    """More labels than a byte holds make a mask of 16 bits."""
    shutil.copy(program("logits_c300"), tmp_path / "own.pte")
    succeed("segment", photo_path, "--model", "own.pte", "--mask", "m.png")
    mask = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint16
    assert mask.max() > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment"], ("PHOTO",)),
        (["segment", "a.jpg", "--frobnicate"], ("--frobnicate",)),
        (["frobnicate"], ("'frobnicate' is no command\n",)),
        (["segmnt", "a.jpg"], ("'segmnt' is no command; did you mean 'segment'?",)),
        (["cache", "lst"], ("'lst' is no command; did you mean 'list'?",)),
        (["{photo}"], ("to segment a photo: etseg segment", "astronaut.jpg")),
        (["segment", "a.jpg", "--model", "yolo"], ("--model", "'yolo'", "selfie-segmentation")),
        (["segment", "a.jpg", "--mask", "m.jpg"], ("--mask", "m.jpg", ".png")),
    ],
)
def test_wrong_usage_is_2(
    arguments: list[str], words: tuple[str, ...], fail: Callable[..., str], photo_path: Path
) -> None:
    message = fail(2, *(argument.format(photo=photo_path) for argument in arguments))
    assert "Usage:" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jpg"], ("no such file", "'nowhere.jpg'")),
        (["{photo}", "--model", "./nowhere.pte"], ("nowhere.pte", "no such file")),
        (["{photo}", "--model", "{bad}"], ("missing_operator.pte", "etsegtest::nowhere.out")),
        (["{photo}", "--model", "{photo}"], ("astronaut.jpg", "not an ExecuTorch program")),
        (["{bad}"], ("no image",)),
        (["{photo}", "--classes", "CAT"], ("'CAT'", "PERSON, BACKGROUND")),
        (["{photo}", "-o", "overlay.xyz"], ("overlay.xyz", "'.xyz'")),
        (["{photo}", "-o", "overlay"], ("overlay", "ending")),
        (["{photo}", "-o", "nowhere/overlay.png"], ("nowhere/overlay.png", "there is no folder")),
        (["{photo}", "--mask", "nowhere/mask.png"], ("nowhere/mask.png", "there is no folder")),
    ],
)
def test_what_cannot_be_done_is_1(
    arguments: list[str],
    words: tuple[str, ...],
    fail: Callable[..., str],
    photo_path: Path,
    tmp_path: Path,
) -> None:
    """And leaves nothing behind."""
    places = {"photo": photo_path, "bad": program("missing_operator")}
    message = fail(1, "segment", *(argument.format(**places) for argument in arguments))
    for word in words:
        assert word in message
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there before stays until the new file is complete."""
    from etseg._results import encoding

    path = tmp_path / "overlay.png"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        patch.setattr(Path, "replace", full)
        with pytest.raises(etseg.FileWriteError, match=r"overlay\.png.*No space left"):
            encoding.write_image(path, np.zeros((4, 4, 3), np.uint8))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    encoding.write_image(path, np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("module", ["cv2", "etseg._download.http"])
def test_help_needs_neither_opencv_nor_a_network(module: str) -> None:
    """Each takes longer to import than all of the command's own modules."""
    script = f"import sys; from etseg._cli import main; print({module!r} in sys.modules)"
    assert output_of(script) == "False"
