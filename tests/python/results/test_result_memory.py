"""What is made of a result where memory does not suffice: an error of ours, and no harm."""

from __future__ import annotations

import sys

import pytest

from children import output_of

SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
import etseg

labels = np.zeros((3000, 3000, 3), np.uint8)
labels[::2, :, 0] = 255
with etseg.ImageSegmentationModule() as module:
    module.load({"model_source": sys.argv[1]})
    result = module.forward(labels, [0], resize=True)

def one(what):
    if what == "encode":
        from etseg._results.encoding import write_image
        return write_image(Path(sys.argv[2]) / "a.bmp", labels)
    return getattr(result, what)(*([0] if what in NEED_LABEL else []))

NEED_LABEL = {"mask", "contours", "cutout", "to_coco_rle"}
CALLS = ["colorize", "overlay", "cutout", "contours", "to_coco_rle", "mask", "areas", "encode"]
for what in CALLS:
    one(what)  # what is loaded late is there
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
before = resource.getrlimit(resource.RLIMIT_AS)
for what in CALLS:
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20), before[1]))
    try:
        one(what)
        said = "done"
    except (etseg.OutOfMemoryError, etseg.FileWriteError) as error:
        said = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    one(what)
    print(what, said)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_without_memory(tmp_path: object) -> None:
    from programs import program

    lines = output_of(SCRIPT, program("logits_c3"), tmp_path, MALLOC_TRIM_THRESHOLD_="0")
    said = dict(line.split(" ", 1) for line in lines.splitlines())
    for what in ("colorize", "overlay", "cutout"):
        assert said[what].startswith("there is not enough memory for a picture"), said
    assert "lack of memory" in said["encode"]
    for what, words in said.items():
        assert words == "done" or "memory" in words, (what, words)


@pytest.mark.parametrize("error", ["(-4:Insufficient memory) no", "std::bad_alloc"])
def test_what_opencv_says_of_memory(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import numpy as np

    import etseg
    from etseg._results.checks import needs_memory

    raised = cv2.error(error)
    if error.startswith("(-4"):
        monkeypatch.setattr(cv2.error, "code", cv2.Error.StsNoMem, raising=False)

    @needs_memory("tea")
    def make(what: Exception) -> None:
        raise what

    with pytest.raises(etseg.OutOfMemoryError, match="not enough memory for tea") as caught:
        make(raised)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.__cause__ is raised
    with pytest.raises(etseg.OutOfMemoryError, match="tea"):
        make(MemoryError())
    with pytest.raises(ValueError, match="other"):
        make(ValueError("other"))
    with pytest.raises(etseg.OutOfMemoryError, match="milk"):
        make(etseg.OutOfMemoryError("milk"))
    monkeypatch.undo()
    with pytest.raises(cv2.error, match="another"):
        make(cv2.error("another"))
    assert np.zeros(1).size == 1
