"""The photograph through every model, against masks that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import etseg
from conftest import MODELS, Image

Loaded = Callable[..., etseg.ImageSegmentationModule]


def intersection_over_union(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def person(module: etseg.ImageSegmentationModule) -> int:
    names = module.labels.__members__
    return int(names["SELFIE"] if "SELFIE" in names else names["PERSON"])


@pytest.mark.parametrize("name", MODELS)
def test_mask(
    name: str,
    loaded: Loaded,
    photo_path: Path,
    data: Path,
    measured: Callable[[str, object], None],
) -> None:
    """From the file on. Every label that covers 1 % of the pixels, in either mask, by itself: the
    background would hide what happens to the person.
    """
    result = loaded(name).forward(photo_path, resize=True)
    expected = cv2.imread(str(data / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert expected is not None
    assert expected.shape == result.size
    covered = 0
    for label in range(len(result.labels) - 1):
        ours, theirs = result.argmax == label, expected == label
        if max(ours.mean(), theirs.mean()) >= 0.01:
            overlap = intersection_over_union(ours, theirs)
            measured(f"IoU of {result.labels(label).name}", overlap)
            assert overlap >= 0.98, result.labels(label).name
            covered += 1
    assert covered >= 2


@pytest.mark.parametrize("name", MODELS)
def test_the_person_is_where_she_is(name: str, loaded: Loaded, photo_path: Path) -> None:
    """Points (x, y) picked by eye: independent of any mask."""
    module = loaded(name)
    label = person(module)
    argmax = module.forward(photo_path, resize=True).argmax
    for what, x, y in (("face", 222, 110), ("hair", 190, 70), ("suit", 130, 330)):
        assert argmax[y, x] == label, what
    for what, x, y in (("wall", 340, 70), ("wall", 490, 100), ("tail", 460, 290)):
        assert argmax[y, x] != label, what


def test_a_mirrored_photograph_gives_a_mirrored_mask(
    selfie: etseg.ImageSegmentationModule, astronaut: Image
) -> None:
    """Nothing before or after the network prefers a side. The network itself does, a little: its
    strides begin at the left.
    """
    mask = selfie.forward(astronaut, resize=True).argmax == 0
    mirrored = selfie.forward(astronaut[:, ::-1], resize=True).argmax[:, ::-1] == 0
    assert intersection_over_union(mask, mirrored) >= 0.96


def test_red_first_is_not_blue_first(
    selfie: etseg.ImageSegmentationModule, astronaut: Image
) -> None:
    """Swapped channels must show, or none of these tests would notice them."""
    right = selfie.forward(astronaut, ["SELFIE"])["SELFIE"]
    swapped = selfie.forward(astronaut[..., ::-1], ["SELFIE"])["SELFIE"]
    assert np.abs(right - swapped).max() > 0.1
