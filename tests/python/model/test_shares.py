"""Scores of 0 or more, of which each label has its share: activation "normalise"."""

from __future__ import annotations

import numpy as np
import pytest

import etseg
from programs import Floats, picture, program
from reference import upsample


def made(activation: str, image: np.ndarray, resize: bool) -> tuple[Floats, np.ndarray]:
    """Maps of red, green and blue, which the program returns as it gets them, and ARGMAX."""
    with etseg.ImageSegmentationModule() as module:
        module.load(
            {
                "model_source": program("identity"),
                "labels": ["red", "green", "blue"],
                "activation": activation,
            }
        )
        result = module.forward(image, range(3), resize=resize)
    return np.stack([result[index] for index in range(3)]), result.argmax


@pytest.mark.parametrize("resize", [False, True])
def test_each_has_its_share_and_the_greatest_score_is_the_label(resize: bool) -> None:
    image = picture(50, 83)
    image[:24, :40] = 0  # nothing to share
    scores = made("none", image, False)[0].astype(np.float64)
    if resize:
        scores = upsample(scores, (50, 83))[0]
    total = scores.sum(axis=0)
    expected = np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / 3)
    maps, argmax = made("normalise", image, resize)
    np.testing.assert_allclose(maps, expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(maps.sum(axis=0), 1, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(argmax, made("none", image, resize)[1])
    assert (maps == np.float32(1 / 3)).all(axis=0).any()


def test_one_channel_is_all_there_is() -> None:
    module = etseg.ImageSegmentationModule()
    with pytest.raises(etseg.InvalidConfigError, match=r"'normalise' over one output channel"):
        module.load({"model_source": program("sigmoid_c1"), "activation": "normalise"})
