"""What is found natively of a label map, against numpy and OpenCV: pixels, boxes, runs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from etseg import InvalidUserInputError, _native
from etseg._results import summary
from etseg._results.grid import at_size

Plane = npt.NDArray[Any]
Size = tuple[int, int]


def noise(chance: np.random.Generator, size: Size, count: int) -> Plane:
    return chance.integers(0, count, size)


def dust(chance: np.random.Generator, size: Size, count: int) -> Plane:
    return np.where(chance.random(size) < 0.02, noise(chance, size, count), 0)


def discs(chance: np.random.Generator, size: Size, count: int) -> Plane:
    """As networks see photographs."""
    plane = np.zeros(size, np.int32)
    for _ in range(6):
        centre = int(chance.integers(size[1])), int(chance.integers(size[0]))
        cv2.circle(plane, centre, int(chance.integers(1, 50)), int(chance.integers(count)), -1)
    return plane


def slow_extents(pixels: Plane, count: int) -> list[list[int]]:
    """Of the image's pixels."""
    rows = []
    for label in range(count):
        y, x = np.nonzero(pixels == label)
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0] * 4
        rows.append([len(x), *box])
    return rows


def decoded(text: str, size: Size) -> Plane:
    """A mask of COCO's characters."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        while True:
            group = ord(text[at]) - 48
            value |= (group & 31) << shift
            at, shift = at + 1, shift + 5
            if not group & 32:
                break
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    assert min(counts[1:], default=1) > 0
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return np.asarray(flat.reshape(size[1], size[0]).T, bool)


@pytest.mark.parametrize("content", [noise, dust, discs])
@pytest.mark.parametrize(("dtype", "count"), [
    ("uint8", 1), ("uint8", 3), ("int32", 3), ("uint8", 256), ("int32", 300),
])  # fmt: skip
def test_what_numpy_finds(dtype: str, count: int, content: Any) -> None:
    chance = np.random.default_rng(count)
    for size in [(1, 1), (37, 53), (5, 200), (131, 129), (64, 65)]:
        plane = content(chance, size, count).astype(dtype)
        for image in [size, (50, 40), (size[0] * 2, size[1] * 3), (1, 1)]:
            pixels = at_size(plane, image)
            found = summary.extents(plane, image, count)
            assert found.tolist() == slow_extents(pixels, count)
            labels = chance.permutation(count)[:5].tolist()
            for label, text in zip(labels, summary.runs(plane, image, labels), strict=True):
                np.testing.assert_array_equal(decoded(text, image), pixels == label)


def test_maps_that_are_not_contiguous() -> None:
    whole = np.random.default_rng(1).integers(0, 4, (40, 90)).astype(np.uint8)
    for plane in (whole.T, whole[::2, ::3], whole[::-1], whole[3:30, 5:80]):
        size = plane.shape[0], plane.shape[1]
        assert summary.extents(plane, size, 4).tolist() == slow_extents(plane, 4)
        for label, text in enumerate(summary.runs(plane, size, range(4))):
            np.testing.assert_array_equal(decoded(text, size), plane == label)


@pytest.mark.parametrize(
    ("dtype", "values", "said"),
    [
        ("uint8", [255], 255),
        ("uint8", [5, 3], 5),
        ("int32", [-1], -1),
        ("int32", [3], 3),
        ("int32", [256, -(2**31), 2**31 - 1], -(2**31)),
    ],
)
def test_what_is_no_label(dtype: str, values: list[int], said: int) -> None:
    """Told by the extents, be it of a row that the image does not take; no mask has it."""
    plane = np.ones((30, 70), dtype)
    plane[29, : len(values)] = values
    for image in [(30, 70), (2, 3)]:
        with pytest.raises(InvalidUserInputError, match=f"^ARGMAX holds {said}, .* from 0 to 2: "):
            summary.extents(plane, image, 3)
        (text,) = summary.runs(plane, image, [1])
        np.testing.assert_array_equal(decoded(text, image), at_size(plane, image) == 1)


@pytest.mark.parametrize(
    ("plane", "size"),
    [
        (np.zeros((3, 4), np.int64), (3, 4)),
        (np.zeros((3, 4), np.float32), (3, 4)),
        (np.zeros((3, 4, 1), np.uint8), (3, 4)),
        (np.zeros((0, 4), np.uint8), (3, 4)),
        (np.zeros((4, 3), np.uint8).T, (3, 4)),
        (np.zeros((3, 4), np.uint8), (0, 4)),
        (np.zeros((3, 4), np.uint8), (3, 2**30 + 1)),
    ],
)
def test_other_arrays_are_refused(plane: Plane, size: Size) -> None:
    with pytest.raises(InvalidUserInputError, match="the label map is an array"):
        _native.measure_labels(plane, *size, np.empty((2, 5), np.int64))
    with pytest.raises(InvalidUserInputError, match="the label map is an array"):
        _native.encode_runs(plane, *size, np.zeros(1, np.int64))


def test_other_arrays_to_write_to_are_refused() -> None:
    plane = np.zeros((3, 4), np.uint8)
    frozen = np.empty((2, 5), np.int64)
    frozen.flags.writeable = False
    wrong: list[Plane] = [
        np.empty((2, 4), np.int64),
        np.empty((2, 5), np.int32),
        np.empty((5, 2), np.int64).T,
        frozen,
    ]
    for extents in wrong:
        with pytest.raises(InvalidUserInputError, match="extents is an array"):
            _native.measure_labels(plane, 3, 4, extents)
    for labels in (np.zeros(1, np.int32), np.zeros((1, 1), np.int64), np.zeros(4, np.int64)[::2]):
        with pytest.raises(InvalidUserInputError, match="labels is an array"):
            _native.encode_runs(plane, 3, 4, labels)  # type: ignore[arg-type]
    for label in (-1, 2**31):
        with pytest.raises(InvalidUserInputError, match=f"there is no label {label}"):
            _native.encode_runs(plane, 3, 4, np.array([label]))
