"""Labels that do not exclude each other: a sigmoid for each channel, and one label for none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import etseg
from programs import Floats, logits, picture, program, sigmoid
from reference import upsample


def loaded(name: str, **spec: Any) -> etseg.ImageSegmentationModule:
    module = etseg.ImageSegmentationModule()
    module.load({"model_source": program(name), **spec})
    return module


def expected_of(values: Floats) -> tuple[Floats, Any]:
    """Maps of all labels, and ARGMAX: the likeliest, or the last where none has one half."""
    own = sigmoid(values)
    maps = np.concatenate([own, 1 - own.max(axis=0, keepdims=True)])
    argmax = np.where(values.max(axis=0) >= 0, values.argmax(axis=0), len(values))
    return maps, argmax


@pytest.mark.parametrize("name", ["logits_c2", "logits_c21", "channels_last_c3", "stride4_c21"])
@pytest.mark.parametrize("resize", [False, True])
def test_maps_and_argmax(name: str, resize: bool) -> None:
    mean = 0.6  # so that somewhere no label is likely
    module = loaded(name, activation="sigmoid", mean=[mean] * 3)
    channels = len(module.labels) - 2  # ARGMAX is one
    image = picture()
    own = logits(image, channels, stride=24 // module.output_size[0], mean=mean)
    values = upsample(own, (24, 40))[0] if resize else own
    maps, argmax = expected_of(values)
    result = module.forward(image, range(channels + 1), resize=resize)
    got = np.stack([result[index] for index in range(channels + 1)])
    np.testing.assert_allclose(got, maps, rtol=0, atol=2e-6)
    ahead = np.partition(maps, -2, axis=0)
    clear = ahead[-1] - ahead[-2] > 1e-5  # else rounding decides
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(result.argmax[clear], argmax[clear])
    if name == "logits_c2":  # of more, one is likely everywhere
        assert (result.argmax == channels).any()
    # One rule for all: ARGMAX is the argmax of the maps.
    chosen = np.take_along_axis(got, result.argmax[None].astype(np.int64), axis=0)[0]
    np.testing.assert_allclose(chosen, got.max(axis=0), rtol=0, atol=1e-6)


def test_the_program_says_it() -> None:
    module = loaded("described_sigmoid_c3")
    assert module.spec.activation == "sigmoid"
    assert [label.name for label in module.labels] == [
        "WET", "DARK", "FAR", "BACKGROUND", "ARGMAX",
    ]  # fmt: skip
    assert module.spec.background == 3
    result = module.forward(picture(), ["wet", "dark", "background"], resize=True)
    np.testing.assert_array_less(abs(result["wet"] - 0.5), 0.5)
    assert result.overlay().shape == (24, 40, 3)


def test_labels_that_nobody_named() -> None:
    labels = loaded("logits_c2", activation="sigmoid").labels
    assert [label.name for label in labels] == ["CLASS_0", "CLASS_1", "BACKGROUND", "ARGMAX"]


def test_a_label_for_none_is_asked_for() -> None:
    with pytest.raises(etseg.InvalidConfigError, match=r"3 labels.*4 apart.*such as 'background'"):
        loaded("logits_c3", activation="sigmoid", labels=["wet", "dark", "far"])
