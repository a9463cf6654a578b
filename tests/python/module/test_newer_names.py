"""Names of the reference's later versions: another word for what is there."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import ImageSegmentationModule
from programs import picture, program


class Surface(IntEnum):
    ROAD = 0
    GRASS = 1
    WATER = 2


@pytest.mark.parametrize("label_map", [Surface, {"ROAD": 0, "GRASS": 1, "WATER": 2, "ARGMAX": 3}])
def test_from_custom_config(label_map: Any) -> None:
    source, mean, std = program("logits_c3"), (0.5, 0.25, 0.125), (0.5, 1.0, 0.25)
    module = ImageSegmentationModule.from_custom_config(
        source,
        {"label_map": label_map, "preprocessor_config": {"norm_mean": mean, "norm_std": std}},
        argmax_dtype="uint8",
    )
    same = ImageSegmentationModule.from_custom_model(
        source, labels=["ROAD", "GRASS", "WATER"], mean=mean, std=std
    )
    assert module.spec.mean == mean
    assert module.spec.std == std
    result, expected = (one.forward(picture(), ["WATER"]) for one in (module, same))
    assert result.argmax.dtype == np.uint8
    np.testing.assert_array_equal(result["water"], expected["water"])


def test_progress_is_told() -> None:
    told: list[float] = []
    config: Any = {"label_map": Surface}
    ImageSegmentationModule.from_custom_config(program("logits_c3"), config, told.append)
    assert told == [1.0]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "no 'label_map'"),
        ([Surface], "expected a mapping"),
        ({"labelMap": Surface}, r"unknown keys \['labelMap'\].*label_map"),
        ({"label_map": Surface, "preprocessor_config": {"mean": (0, 0, 0)}}, r"\['mean'\].*norm_m"),
        ({"label_map": Surface, "preprocessor_config": 3}, "preprocessor_config is 3"),
        ({"label_map": {"a": 0, "b": 0}}, "every index needs one name"),
        ({"label_map": {"a": 0, "b": 2}}, "keys of labels"),
        ({"label_map": {"a": 0, "b": 1}}, "2 labels"),
    ],
)
def test_a_config_that_is_none(config: Any, said: str) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=said):
        ImageSegmentationModule.from_custom_config(program("logits_c3"), config)


def test_resize_to_input_is_resize() -> None:
    with ImageSegmentationModule(program("stride4_c3")) as module:
        image = picture(30, 50)
        expected = module.forward(image, resize=True).argmax
        for result in (
            module.forward(image, resize_to_input=True),
            asyncio.run(module.forward_async(image, resize_to_input=True)),
            *module.map([image], resize_to_input=True),
            module.forward(image, resize=True, resize_to_input=True),
        ):
            np.testing.assert_array_equal(result.argmax, expected)
        assert module.forward(image, resize_to_input=False).size == (6, 10)
        with pytest.raises(etseg.InvalidUserInputError, match="two names of one option"):
            module.forward(image, resize=True, resize_to_input=False)
        with pytest.raises(etseg.InvalidUserInputError, match="two names of one option"):
            module.map([image], resize=True, resize_to_input=False)
