"""Programs that take bytes, or the channels of a pixel together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import etseg
from programs import Floats, Image, logits, picture, program
from reference import preprocess

_HALF = 0.5 + 2**-11  # what is added to a byte before it is cut off


def of_bytes(image: Image) -> Floats:
    return logits(image, 3)


def of_normalised_bytes(image: Image) -> Floats:
    """Mean 1/4 and std 1/2: the weights' sums are over (x - 1/4) * 2."""
    plain, bias = logits(image, 3, mean=0.25), logits(np.zeros_like(image), 3)
    return (plain - bias) * 2 + bias


#: What each computes of the pixels that it gets.
PROGRAMS: dict[str, Callable[[Image], Floats]] = {
    "uint8_input": of_bytes,
    "uint8_nhwc": of_normalised_bytes,
    "nhwc_c3": of_bytes,
    "channels_last_input": of_bytes,
}


def loaded(name: str, **spec: Any) -> etseg.ImageSegmentationModule:
    module = etseg.ImageSegmentationModule()
    module.load({"model_source": program(name), "activation": "none", **spec})
    return module


def scores_of(module: etseg.ImageSegmentationModule, image: Image) -> Floats:
    result = module.forward(image, [0, 1, 2])
    return np.stack([result[index] for index in range(3)]).astype(np.float64)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gets_the_pixels(name: str) -> None:
    module = loaded(name)
    image = picture(*module.input_size)
    np.testing.assert_allclose(scores_of(module, image), PROGRAMS[name](image), rtol=0, atol=4e-6)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("resample", ["bilinear", "antialias"])
@pytest.mark.parametrize("size", [(97, 61), (48, 80), (9, 11)])
def test_gets_a_resized_image(name: str, resample: Any, size: tuple[int, int]) -> None:
    module = loaded(name, resample=resample)
    image = picture(*size)
    resized = preprocess(image, module.input_size, resample=resample) * 255
    if name.startswith("uint8"):
        resized = np.floor(resized + _HALF)
    expected = PROGRAMS[name](resized.transpose(1, 2, 0))  # type: ignore[arg-type]
    scores = scores_of(module, image)
    # A byte that float32 rounds otherwise, so near to a limit is it, moves a score by 1/64 at most.
    far = abs(scores - expected) > 1e-5
    assert abs(scores - expected).max() < 1 / 64
    assert far.mean() < 0.001


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_order_of_channels(order: Any) -> None:
    module = loaded("uint8_nhwc")
    image = picture(*module.input_size)
    given = image if order == "rgb" else image[..., ::-1]
    result = module.forward(given, [0, 1, 2], channel_order=order)
    for index, plane in enumerate(of_normalised_bytes(image)):
        np.testing.assert_allclose(result[index], plane, rtol=0, atol=4e-6)


def test_floats_together_are_normalised_as_others() -> None:
    """Programs for 0 to 255 say so by their std."""
    mean, std = (0.5, 0.25, 0.125), (0.5, 1.0, 0.25)
    image = picture()
    planes = loaded("logits_c3", mean=mean, std=std)
    together = loaded("nhwc_c3", mean=mean, std=std)
    np.testing.assert_allclose(
        scores_of(together, image), scores_of(planes, image), rtol=0, atol=1e-5
    )
    of_255 = loaded("nhwc_c3", std=[1 / 255] * 3)
    bias = logits(np.zeros_like(image), 3)
    expected = (logits(image, 3) - bias) * 255 + bias
    np.testing.assert_allclose(scores_of(of_255, image), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("spec", [{"mean": [0.5] * 3}, {"std": [0.5] * 3}])
def test_bytes_are_not_normalised(spec: dict[str, Any]) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=r"bytes.*leave out mean and std"):
        loaded("uint8_input", **spec)
    assert loaded("uint8_input", mean=[0] * 3, std=[1] * 3).is_loaded


def test_what_is_assumed_of_bytes_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "etseg"):
        module = loaded("uint8_input")
        module.forward(picture())
        module.forward(picture())
    (message,) = [r.getMessage() for r in caplog.records if "assumed" in r.getMessage()]
    assert "labels CLASS_0" in message
    assert "pixels" not in message  # nothing is done to bytes


def test_calls_leave_nothing_for_the_next() -> None:
    for name in PROGRAMS:
        module = loaded(name)
        first = scores_of(module, picture(60, 70))
        scores_of(module, picture(33, 20, seed=1))
        np.testing.assert_array_equal(scores_of(module, picture(60, 70)), first)
