"""A loaded model does not depend on its file: each case in a process that a signal could end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import etseg
from children import output_of

_PRELUDE = """
import os, sys, threading
from pathlib import Path

import numpy as np

from etseg import FileReadError, ImageSegmentationModule, InvalidModelError

path, other = map(Path, sys.argv[1:3])
concurrency = int(sys.argv[3])
image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)

def same(result, expected):
    return all(np.array_equal(result[label], expected[label]) for label in expected)
"""

_TRUNCATED = "os.truncate(path, 0)"
_OVERWRITTEN = "path.write_bytes(other.read_bytes())"
_FILLED_IN_PLACE = """
with path.open("r+b") as file:
    file.write(b"\\xff" * path.stat().st_size)
"""
_REPLACED = "os.replace(other, path)"
_REMOVED = "path.unlink()"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two models' files that may be changed; of equal size, so that one fits over the other."""
    bundled = Path(etseg.__file__).parent / "_bundled"
    path, other = tmp_path / "model.pte", tmp_path / "other.pte"
    shutil.copyfile(bundled / "selfie_segmentation_xnnpack_fp32.pte", path)
    shutil.copyfile(bundled / "selfie_segmentation_landscape_xnnpack_fp32.pte", other)
    assert path.stat().st_size == other.stat().st_size
    return path, other


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    "change", [_TRUNCATED, _OVERWRITTEN, _FILLED_IN_PLACE, _REPLACED, _REMOVED]
)
def test_results_outlive_the_file(files: tuple[Path, Path], change: str, concurrency: int) -> None:
    script = f"""
module = ImageSegmentationModule(concurrency=concurrency)
module.load(path)
expected = module.forward(image)
running, changed = threading.Barrier(concurrency + 1), threading.Event()
right = []

def keep_on():
    running.wait(60)
    after = 0
    while after < 3:  # forwards that began after the change
        after += changed.is_set()
        right.append(same(module.forward(image), expected))

threads = [threading.Thread(target=keep_on) for _ in range(concurrency)]
for thread in threads:
    thread.start()
running.wait(60)
{change}
changed.set()
for thread in threads:
    thread.join()
print(all(right))
"""
    assert output_of(_PRELUDE + script, *files, concurrency) == "True"


def test_a_file_that_changes_while_it_is_loaded_is_refused_or_read_whole(
    files: tuple[Path, Path],
) -> None:
    script = """
contents = path.read_bytes(), other.read_bytes()
expected = []
for source in path, other:
    with ImageSegmentationModule.from_custom_model(source) as module:
        expected.append(module.forward(image))
enough = threading.Event()

def write():
    while not enough.is_set():
        for content in contents:
            path.write_bytes(content)  # empties it first

writer = threading.Thread(target=write)
writer.start()
try:
    for _ in range(100):
        try:
            with ImageSegmentationModule.from_custom_model(path) as module:
                result = module.forward(image)
        except (FileReadError, InvalidModelError):
            continue
        assert any(same(result, each) for each in expected)
finally:
    enough.set()
    writer.join()
print("done")
"""
    assert output_of(_PRELUDE + script, *files, 1) == "done"


def test_the_files_of_deleted_models_are_closed(files: tuple[Path, Path]) -> None:
    script = """
def open_files():
    return sum(os.path.realpath(f"/proc/self/fd/{name}") == str(path.resolve())
               for name in os.listdir("/proc/self/fd"))

module = ImageSegmentationModule(concurrency=2)
module.load(path)
module.load(path)
print(open_files())
module.delete()
for _ in range(3):
    try:
        module.load(os.devnull)
    except FileReadError:
        pass
print(open_files())
"""
    assert output_of(_PRELUDE + script, *files, 1).split() == ["1", "0"]
