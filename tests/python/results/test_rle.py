"""COCO's run-length encoding: against pycocotools, and against its definition, said slowly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import etseg
from eyes import eyes, smooth

Mask = npt.NDArray[np.bool_]


def slow_rle(mask: Mask) -> str:
    """Runs down the columns, then each as characters of six bits."""
    runs, value = [0], False
    height, width = mask.shape
    for x in range(width):
        for y in range(height):
            if bool(mask[y, x]) != value:
                runs.append(0)
                value = not value
            runs[-1] += 1
    text = ""
    for i, run in enumerate(runs):
        number = run - runs[i - 2] if i > 2 else run
        while True:
            bits, number = number % 32, number // 32
            done = number == (-1 if bits & 16 else 0)
            text += chr(48 + bits + (0 if done else 32))
            if done:
                break
    return text


def rle_of(mask: Mask) -> dict[str, Any]:
    """What a result says of a label that is where the mask is."""
    module = eyes()
    with module:
        result = module.forward(np.zeros((*mask.shape, 3), np.uint8), resize=True)
    result.argmax[:] = np.where(mask, 2, 1)
    return result.to_coco_rle("B")


def blobs(height: int, width: int, share: float, seed: int = 0) -> Mask:
    """A random mask."""
    return np.random.default_rng(seed).random((height, width)) < share


MASKS = {
    "nothing": np.zeros((7, 9), bool),
    "everything": np.ones((7, 9), bool),
    "one pixel": np.ones((1, 1), bool),
    "no pixel": np.zeros((1, 1), bool),
    "first pixel": np.arange(63).reshape(7, 9) == 0,
    "last pixel": np.arange(63).reshape(7, 9) == 62,
    "a row": blobs(1, 300, 0.3),
    "a column": blobs(300, 1, 0.3),
    "noise": blobs(61, 47, 0.5),
    "dust": blobs(200, 150, 0.001),
    "holes": blobs(200, 150, 0.999),
    "a half": np.arange(400)[:, None] + np.zeros(300) < 200,
    "long runs": np.tile(np.arange(1000) < 1, (500, 1)) | np.tile(np.arange(1000) > 700, (500, 1)),
}


@pytest.mark.parametrize("name", MASKS)
def test_is_what_its_definition_says(name: str) -> None:
    mask = MASKS[name]
    rle = rle_of(mask)
    assert rle == {"size": list(mask.shape), "counts": slow_rle(mask)}
    assert json.loads(json.dumps(rle)) == rle


# pycocotools 2.0.11 gives its arrays an __array__ as numpy 1 wanted it.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", MASKS)
def test_is_what_pycocotools_writes(name: str) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = MASKS[name]
    rle = rle_of(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle["size"] == list(theirs["size"])
    assert rle["counts"].encode() == theirs["counts"]
    np.testing.assert_array_equal(coco.decode(rle), mask)
    assert coco.area(rle) == mask.sum()


def test_runs_of_millions() -> None:
    """Five groups of bits, and differences that are negative: a photograph's numbers."""
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((3024, 4032), bool)
    mask[1, 1] = mask[-1, -1] = True
    mask[:, 2000:3000] = True
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle_of(mask)["counts"].encode() == theirs["counts"]


@pytest.mark.parametrize("size", [(24, 40), (48, 80), (31, 57), (7, 5), (1, 1), (100, 3)])
def test_is_of_the_image_whatever_the_size_of_the_map(
    size: tuple[int, int], image_labels: Callable[[etseg.SegmentationResult], Any]
) -> None:
    with eyes() as module:
        result = module.forward(smooth(*size))
    result.argmax[:] = np.random.default_rng(3).integers(0, 3, result.size)
    assert result.size == (24, 40)
    for member in list(result.labels)[:3]:
        rle = result.to_coco_rle(member)
        expected = slow_rle(image_labels(result) == member)
        assert rle == {"size": list(size), "counts": expected}


def test_agrees_with_areas_and_boxes() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    with eyes() as module:
        result = module.forward(smooth(123, 77))
    areas, boxes = result.areas(), result.boxes()
    assert len(boxes) >= 2
    for member, (x0, y0, x1, y1) in boxes.items():
        rle = result.to_coco_rle(member)
        assert coco.area(rle) == areas[member].pixels > 0
        assert coco.toBbox(rle).tolist() == [x0, y0, x1 - x0, y1 - y0]
