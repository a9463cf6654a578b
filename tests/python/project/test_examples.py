"""The examples: they run as a user would run them, and what comes out is right."""

from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import copyfile

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pil

import etseg
from children import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples"

if not EXAMPLES.is_dir():
    pytest.skip("needs a checkout", allow_module_level=True)

Picture = npt.NDArray[np.uint8]


def run(
    script: str, *arguments: object, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """An example, warnings being errors, offline."""
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error", "ETSEG_OFFLINE": "1"},
    )


def test_every_example_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        if path.suffix in {".py", ".ipynb"}:
            assert f"examples/{path.name}" in page


# -- segment_folder.py


@pytest.fixture
def folder(astronaut: Picture, photo_path: Path, tmp_path: Path) -> Path:
    """A picture that is cut off, two that are whole, and what is no picture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    copyfile(photo_path, folder / "b.jpg")  # first: in most file systems' order, not the names'
    (folder / "a.jpg").write_bytes(photo_path.read_bytes()[:3000])
    Pil.fromarray(astronaut[:400, ::-1]).save(folder / "c.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder(folder: Path, tmp_path: Path, selfie: etseg.ImageSegmentationModule) -> None:
    output = tmp_path / "masks"
    done = run("segment_folder.py", folder, output)
    assert done.returncode == 1
    (complaint,) = done.stderr.splitlines()
    assert complaint.startswith(f"{folder / 'a.jpg'}: ")
    assert "cut off" in complaint
    assert done.stdout == f"2 of 3 pictures segmented, into {output}\n"

    assert sorted(path.name for path in output.iterdir()) == ["areas.csv", "b.jpg.png", "c.png.png"]
    with (output / "areas.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["b.jpg", "b.jpg", "c.png", "c.png"]
    for name in ("b.jpg", "c.png"):
        mask = Pil.open(output / f"{name}.png")
        assert mask.mode == "P"
        indices = np.asarray(mask)
        expected = selfie.forward(folder / name, resize=True).argmax
        assert indices.shape == expected.shape
        assert (indices == expected).mean() > 0.999  # one thread may round otherwise than two
        for row in rows:
            if row["file"] == name:
                pixels = (indices == selfie.labels[row["label"]]).sum()
                assert int(row["pixels"]) == pixels
                assert float(row["share"]) == pytest.approx(pixels / indices.size, abs=1e-4)


def test_progress_is_shown_on_a_terminal(folder: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").unlink()
    ours, theirs = pty.openpty()
    try:
        done = run("segment_folder.py", folder, tmp_path / "masks", stderr=theirs)
    finally:
        os.close(theirs)
    shown = b""
    with suppress(OSError):  # EIO: all was read
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    assert done.returncode == 0
    assert shown == b"1 of 2\r2 of 2\r\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "masks"), "nowhere"),
        (("photos", "photos"), "a folder of their own"),
        (("photos", "photos/notes.txt"), "photos/notes.txt"),
        (("photos", "masks", "--model", "nonesuch"), "nonesuch"),
    ],
)
def test_a_folder_that_cannot_be_segmented(
    arguments: tuple[str, ...], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    done = run("segment_folder.py", *arguments)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "Traceback" not in done.stderr
    assert message in done.stderr.splitlines()[-1]


# -- segment_video.py


def frames(path: Path) -> list[Picture]:
    """All frames of a video, red first."""
    video = cv2.VideoCapture(str(path))
    found = []
    while (read := video.read())[0]:
        found.append(np.asarray(read[1][..., ::-1], np.uint8))
    video.release()
    return found


def test_a_video(astronaut: Picture, tmp_path: Path, selfie: etseg.ImageSegmentationModule) -> None:
    """Each frame is painted with its own mask."""
    source, output = tmp_path / "source.avi", tmp_path / "painted.avi"
    motion_jpeg = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(source), motion_jpeg, 10, (320, 400))
    for x in range(0, 192, 24):
        writer.write(np.ascontiguousarray(astronaut[:400, x : x + 320, ::-1]))
    writer.release()

    done = run("segment_video.py", source, "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"8 frames written to {output}\n"
    painted = frames(output)
    assert len(painted) == 8
    for before, after in zip(frames(source), painted, strict=True):
        result = selfie.forward(before, resize=True)
        expected = result.overlay(alpha=0.6, palette={"SELFIE": (0x56, 0xB4, 0xE9)})
        assert np.abs(after.astype(int) - expected).mean() < 4  # it is JPEG
        assert np.abs(before.astype(int) - expected).mean() > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.avi", "-o", "out.avi"), "nowhere.avi cannot be opened"),
        (("text.avi", "-o", "out.avi"), "text.avi cannot be opened"),
    ],
)
def test_a_video_that_cannot_be_read(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.avi").write_text("no video")
    done = run("segment_video.py", *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert not Path("out.avi").exists()
