"""What repr() says of a result: sizes, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import etseg
from etseg._results import summary
from programs import program


@pytest.fixture
def result_of() -> Callable[..., etseg.SegmentationResult]:
    """result_of(labels, resize=True): a result that has these labels, of 300."""

    def make(labels: Any, resize: bool = True) -> etseg.SegmentationResult:
        wanted: npt.NDArray[np.int32] = np.asarray(labels, np.int32)
        with etseg.ImageSegmentationModule() as module:
            module.load({"model_source": program("logits_c300")})
            image = np.zeros((*wanted.shape, 3), np.uint8)
            result = module.forward(image, resize=resize)
        if resize:
            result.argmax[:] = wanted
        return result

    return make


def test_what_was_found(result_of: Callable[..., etseg.SegmentationResult]) -> None:
    labels = np.zeros((10, 20), int)
    labels[:, :5] = 7
    said = "<SegmentationResult of 20x10 pixels: CLASS_0 75 %, CLASS_7 25 %>"
    result = result_of(labels)
    assert repr(result) == said
    result.argmax[:] = 3  # it looks at the maps as they are
    assert repr(result) == "<SegmentationResult of 20x10 pixels: CLASS_3 100 %>"


def test_a_person_is_called_so(selfie: etseg.ImageSegmentationModule, photo_path: Path) -> None:
    text = repr(selfie.forward(photo_path, resize=True))
    assert text == "<SegmentationResult of 512x512 pixels: PERSON 55 %, BACKGROUND 45 %>"


def test_little_is_not_nothing_and_much_is_not_all(
    result_of: Callable[..., etseg.SegmentationResult],
) -> None:
    labels = np.zeros((30, 30), int)
    labels[0, 0] = 1
    assert repr(result_of(labels)).endswith(": CLASS_0 > 99 %, CLASS_1 < 1 %>")


def test_many_labels_are_counted(result_of: Callable[..., etseg.SegmentationResult]) -> None:
    labels = np.arange(10).reshape(1, 10)
    assert repr(result_of(labels)) == (
        "<SegmentationResult of 10x1 pixels: CLASS_0 10 %, CLASS_1 10 %, CLASS_2 10 %, "
        "CLASS_3 10 %, 6 more>"
    )


def test_maps_of_another_size_are_told(
    result_of: Callable[..., etseg.SegmentationResult],
) -> None:
    result = result_of(np.zeros((50, 70), int), resize=False)
    height, width = result.size
    assert f" of 70x50 pixels in maps of {width}x{height}: " in repr(result)


def test_maps_that_were_changed_are_no_error(
    result_of: Callable[..., etseg.SegmentationResult],
) -> None:
    result = result_of(np.zeros((4, 4), int))
    result.argmax[0, 0] = 300
    assert repr(result) == "<SegmentationResult of 4x4 pixels: ARGMAX was changed>"


def test_of_a_large_map_a_part_is_looked_at(
    result_of: Callable[..., etseg.SegmentationResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, not seconds: never more pixels than a small map has."""
    looked = []
    extents = summary.extents

    def counting(plane: npt.NDArray[Any], *rest: Any) -> Any:
        looked.append(plane.size)
        return extents(plane, *rest)

    monkeypatch.setattr(summary, "extents", counting)
    labels = np.zeros((2000, 3000), int)
    labels[:, 1500:] = 2
    assert ": CLASS_0 50 %, CLASS_2 50 %>" in repr(result_of(labels))
    assert 0 < max(looked) <= 1 << 18
