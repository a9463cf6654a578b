"""Four packages have a module cv2: what `etseg doctor` says of each state; errors without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import commands
from children import output_of
from etseg._cli import opencv

VERSION = "4.12.0.88"
Install = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "site-packages"
    found.mkdir()
    return found


@pytest.fixture
def install(folder: Path) -> Install:
    """As pip does: the package's record, and its files over those that are there."""

    def do(package: str, version: str = VERSION, spelled: str = "", body: str = "") -> None:
        name = spelled or package
        record = folder / f"{package.replace('-', '_')}-{version}.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}")
        cv2 = folder / "cv2"
        cv2.mkdir(exist_ok=True)
        (cv2 / "__init__.py").write_text(
            f"{body}\nfrom .version import opencv_version\nimdecode = 1"
        )
        (cv2 / "version.py").write_text(
            f'opencv_version = "{version}"\ncontrib = {"contrib" in package}\n'
            f"headless = {package.endswith('headless')}\nrolling = False\nci_build = True"
        )

    return do


def looked(folder: Path) -> tuple[opencv.OpenCV, str | None]:
    found = opencv.look([str(folder), *_standard_library()])
    return found, opencv.advice(found)


def _standard_library() -> list[str]:
    """Without the packages of these tests."""
    import sys

    return [path for path in sys.path if path and not path.endswith("site-packages")]


@pytest.mark.parametrize("package", opencv.PACKAGES.values())
def test_one_package(package: str, folder: Path, install: Install) -> None:
    install(package)
    found, advice = looked(folder)
    assert (found.packages, found.owner, found.version) == ({package: VERSION}, package, VERSION)
    assert (found.failure, advice) == (None, None)


@pytest.mark.parametrize("windows", ["opencv-python", "opencv-contrib-python"])
def test_headless_over_windows(windows: str, folder: Path, install: Install) -> None:
    install(windows, "4.13.0.90")
    install("opencv-python-headless")
    found, advice = looked(folder)
    assert (found.owner, found.failure) == ("opencv-python-headless", None)
    assert set(found.packages) == {windows, "opencv-python-headless"}
    assert advice is not None
    assert "cv2.imshow" in advice
    assert advice.endswith(f": pip install --force-reinstall --no-deps {windows}==4.13.0.90")


def test_windows_over_headless(folder: Path, install: Install) -> None:
    """Both have what they need."""
    install("opencv-python-headless")
    install("opencv-python")
    found, advice = looked(folder)
    assert (found.owner, advice) == ("opencv-python", None)


def test_none(folder: Path) -> None:
    found, advice = looked(folder)
    assert (dict(found.packages), found.owner, found.version) == ({}, None, None)
    assert found.failure == "ModuleNotFoundError: No module named 'cv2'"
    assert advice is not None
    assert advice.endswith(": pip install opencv-python-headless")


@pytest.mark.parametrize("left", ["opencv-python", "opencv-python-headless"])
def test_the_files_went_with_the_other_package(left: str, folder: Path, install: Install) -> None:
    """Of which an empty folder stays."""
    install(left)
    for path in (folder / "cv2").iterdir():
        path.unlink()
    found, advice = looked(folder)
    assert (found.owner, found.packages) == (None, {left: VERSION})
    assert found.failure is not None
    assert "imdecode" in found.failure
    assert advice is not None
    assert advice.endswith(f": pip install --force-reinstall --no-deps {left}=={VERSION}")


def test_the_systems_libraries_are_missing(folder: Path, install: Install) -> None:
    why = "libGL.so.1: cannot open shared object file: No such file or directory"
    install("opencv-python", body=f"raise ImportError({why!r})")
    found, advice = looked(folder)
    assert found.failure == f"ImportError: {why}"
    assert advice is not None
    assert "apt install libgl1" in advice
    assert advice.endswith(": pip install --force-reinstall --no-deps opencv-python-headless")


def test_what_crashes_does_not_take_doctor_along(folder: Path, install: Install) -> None:
    install("opencv-python-headless", body="import os; os._exit(7)")
    found, advice = looked(folder)
    assert found.failure == "exit status 7"
    assert advice is not None
    assert advice.endswith(f"opencv-python-headless=={VERSION}")


def test_too_old(folder: Path, install: Install) -> None:
    install("opencv-python", "4.8.1.78")
    advice = looked(folder)[1]
    assert advice is not None
    assert "4.8.1.78 is older than 4.12" in advice
    assert advice.endswith(": pip install --upgrade opencv-python")


def test_names_are_compared_as_pip_does(folder: Path, install: Install) -> None:
    install("opencv-python-headless", spelled="OpenCV_Python.Headless")
    assert looked(folder)[0].packages == {"opencv-python-headless": VERSION}


def test_doctor_says_so(tmp_path: Path) -> None:
    """Here all is well, or these tests would not be."""
    said: Any = json.loads(commands.run(tmp_path, "doctor", "--json").stdout)["opencv"]
    assert set(said) == {"package", "version", "packages", "failure", "advice"}
    assert said["package"] in said["packages"]
    assert said["failure"] is None
    line = f"opencv     {said['package']} {said['version']}"
    assert line in commands.run(tmp_path, "doctor").stdout


@pytest.mark.parametrize("body", ["raise ImportError('libGL.so.1 is not there')", ""])
def test_without_opencv_the_error_names_both_packages(
    body: str, folder: Path, photo_path: Path, tmp_path: Path
) -> None:
    """What needs it not goes on working: a JPEG, and a label map."""
    (folder / "cv2.py").write_text(body)
    script = f"""
        import sys
        sys.path.insert(0, {str(folder)!r})
        import etseg

        result = etseg.segment({str(photo_path)!r}, classes=["PERSON"])
        result.save("mask.png")
        for make in (result.overlay, result.boxes, result.cutout):
            try:
                make()
            except etseg.InvalidStateError as error:
                message = str(error)
            assert "opencv-python-headless, or" in message, message
            assert "opencv-python;" in message, message
            assert "etseg doctor" in message, message
        try:
            result["BACKGROUND"]
        except etseg.LabelError:
            print("done")
        """
    assert output_of(script, cwd=tmp_path) == "done"
    assert (tmp_path / "mask.png").exists()
