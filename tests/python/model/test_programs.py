"""Every kind of program that a user may have: computed right, or refused with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import etseg
from programs import FOLDER, Floats, Image, logits, picture, program, sigmoid, softmax

#: Programs with a plain function, as their own output ("none": no activation of ours on top).
COMPUTED: dict[str, Callable[[Image], Floats]] = {
    "logits_c2": lambda image: logits(image, 2),
    "logits_c3": lambda image: logits(image, 3),
    "logits_c21": lambda image: logits(image, 21),
    "logits_c300": lambda image: logits(image, 300),
    "portable_c3": lambda image: logits(image, 3),
    "portable_c21": lambda image: logits(image, 21),
    "stride4_c3": lambda image: logits(image, 3, stride=4),
    "stride4_c21": lambda image: logits(image, 21, stride=4),
    "two_outputs": lambda image: logits(image, 3),
    "channels_last_c3": lambda image: logits(image, 3),
    "softmax_c3": lambda image: softmax(logits(image, 3)),
    "identity": lambda image: image.transpose(2, 0, 1) / 255,
    "unplanned_input": lambda image: logits(image, 3),
    "unplanned_output": lambda image: logits(image, 3),
    "unplanned_both": lambda image: logits(image, 3),
    "unplanned_two_outputs": lambda image: logits(image, 3),
    "unplanned_identity": lambda image: image.transpose(2, 0, 1) / 255,
    "dynamic_c3": lambda image: logits(image, 3),
    "dynamic_xnnpack_c3": lambda image: logits(image, 3),
    "rank3_c3": lambda image: _rank3(image.transpose(2, 0, 1) / 255),
    "packed_and_read_c3": lambda image: _multiplied(image.transpose(2, 0, 1) / 255),
    "constant": lambda image: (
        (np.arange(3 * image.size // 3) * 37 % 101 - 50).reshape(3, *image.shape[:2]) / 16
    ),
}
#: Programs with tests of their own, here or elsewhere.
SPECIAL = {
    "prelu_c3",
    "prelu_of_bias_c3",
    "prelu_of_bias_inline_c3",
    "no_bias_c3",
    "two_nodes_c3",
    "two_delegates_c3",
    "quantized_no_bias_c3",
    "logits_c1",
    "sigmoid_c1",
    "log_c3",
    "reciprocal_c3",
    "quantized_c3",
    "quantized_portable_c3",
    "described_c3",
    "described_by_number_c3",
    "described_sigmoid_c3",
    "int64_output",
    "labels_int32",
    "labels_uint8",
    "labels_below_zero",
    "uint8_input",
    "uint8_nhwc",
    "nhwc_c3",
    "channels_last_input",
    "openvino_c3",
}
_IMAGE = ("[1,3,H,W]", "[3,H,W]")
_LOGITS = ("[1,C,H,W]", "[C,H,W]")
#: Programs that are refused: the error, its code, and what the message must say.
REFUSED: dict[str, tuple[type[etseg.EtsegError], int, tuple[str, ...]]] = {
    "classifier": (etseg.InvalidModelError, 115, ("[1,10]", "output", *_LOGITS)),
    "rank5_output": (etseg.InvalidModelError, 115, ("[1,1,3,24,40]", *_LOGITS)),
    "float64_output": (etseg.InvalidModelError, 115, ("Double", "float32", *_LOGITS)),
    "none_output": (etseg.InvalidModelError, 115, ("no tensor", *_LOGITS)),
    "two_inputs": (etseg.InvalidModelError, 97, ("2 inputs", *_IMAGE)),
    "int_input": (etseg.InvalidModelError, 116, ("Int", "float32", *_IMAGE)),
    "four_channels": (etseg.InvalidModelError, 116, ("[1,4,8,12]", *_IMAGE)),
    "batch2": (etseg.InvalidModelError, 116, ("[2,3,8,12]", *_IMAGE)),
    "no_forward": (etseg.InvalidModelError, 35, ("no method", "'forward'")),
    "missing_operator": (etseg.UnsupportedModelError, 20, ("etsegtest::nowhere.out",)),
    "missing_backend": (etseg.UnsupportedModelError, 16, ("YnnpackBackend", "XnnpackBackend")),
    "bad_delegate": (etseg.UnsupportedModelError, 16, ("XH99",)),
}


def _rank3(rgb: Floats) -> Floats:
    red, green, blue = rgb
    return np.stack([red - green, 2 * green - 0.5, blue + red / 2])


def _multiplied(planes: Floats) -> Floats:
    y, x = np.mgrid[: planes.shape[1], : planes.shape[2]]
    weight = ((y * 5 + x * 7) % 17 - 8) / 64
    return planes @ weight.T * weight


def maps_of(
    module: etseg.ImageSegmentationModule, image: Image, **options: Any
) -> tuple[Floats, np.ndarray[Any, Any]]:
    """All probability maps, stacked, and ARGMAX."""
    labels = [label for label in module.labels if label.name != "ARGMAX"]
    result = module.forward(image, labels, **options)
    return np.stack([result[label] for label in labels]).astype(np.float64), result.argmax


@pytest.fixture
def load() -> Callable[..., etseg.ImageSegmentationModule]:
    """load(name, **spec): a module with one of the programs."""

    def make(name: str, **spec: Any) -> etseg.ImageSegmentationModule:
        module = etseg.ImageSegmentationModule()
        module.load({"model_source": program(name), **spec})
        return module

    return make


def test_every_program_is_tested() -> None:
    """A program that is added comes with what is expected of it."""
    assert {path.stem for path in FOLDER.glob("*.pte")} == {*COMPUTED, *SPECIAL, *REFUSED}


@pytest.mark.parametrize("name", COMPUTED)
def test_computes_its_function(name: str, load: Callable[..., Any]) -> None:
    module = load(name, activation="none")
    image = picture(*module.input_size)
    expected = COMPUTED[name](image)
    maps, argmax = maps_of(module, image)
    assert module.output_size == expected.shape[1:]
    np.testing.assert_allclose(maps, expected, rtol=0, atol=2e-6)
    chosen = np.take_along_axis(expected, argmax[None].astype(np.int64), axis=0)[0]
    np.testing.assert_allclose(chosen, expected.max(axis=0), rtol=0, atol=2e-6)
    if name == "logits_c300":  # the classes repeat after 119: ties go to the lowest index
        assert argmax.max() < 119
    else:
        assert len(np.unique(argmax)) > 1


@pytest.mark.parametrize("name", COMPUTED)
def test_a_call_leaves_nothing_for_the_next(name: str, load: Callable[..., Any]) -> None:
    """The input's memory, which may be the output's too, is written anew by each call."""
    module = load(name)
    size = module.input_size
    height, width = size
    first = maps_of(module, picture(height, width))
    maps_of(module, picture(height, width, seed=1))
    again = maps_of(module, picture(height, width))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["logits_c2", "logits_c21", "portable_c3", "channels_last_c3"])
def test_softmax_is_the_default(name: str, load: Callable[..., Any]) -> None:
    module = load(name)
    image = picture()
    maps, _ = maps_of(module, image)
    assert module.spec.activation == "softmax"
    np.testing.assert_allclose(maps, softmax(COMPUTED[name](image)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "activation"), [("logits_c1", "sigmoid"), ("sigmoid_c1", None), ("sigmoid_c1", "none")]
)
def test_one_channel_is_the_foreground(
    name: str, activation: str | None, load: Callable[..., Any]
) -> None:
    mean = 0.5  # with it the logit has both signs
    module = load(name, activation=activation, mean=[mean] * 3)
    image = picture()
    foreground = sigmoid(logits(image, 1, mean=mean))[0]
    maps, argmax = maps_of(module, image)
    np.testing.assert_allclose(maps, [foreground, 1 - foreground], rtol=0, atol=1e-6)
    clear = abs(foreground - 0.5) > 1e-5
    np.testing.assert_array_equal(argmax[clear], (foreground < 0.5)[clear])
    assert set(np.unique(argmax)) == {0, 1}


@pytest.mark.parametrize("name", ["quantized_c3", "quantized_portable_c3"])
def test_quantised(name: str, load: Callable[..., Any]) -> None:
    module = load(name, activation="none")
    maps, _ = maps_of(module, picture())
    expected = np.clip(logits(picture(), 3) + 3, 0, 6)
    # Its range is calibrated on grey levels alone; beyond it int8 saturates.
    assert np.quantile(abs(maps - expected), 0.5) < 0.05
    assert len(np.unique(maps)) <= 256


@pytest.mark.parametrize(
    ("name", "function", "mean"), [("log_c3", np.log, 0.5), ("reciprocal_c3", np.reciprocal, 0.0)]
)
@pytest.mark.parametrize("activation", ["softmax", "none"])
@pytest.mark.parametrize("resize", [False, True])
def test_nan_and_infinity(
    name: str,
    function: Callable[[Floats], Floats],
    mean: float,
    activation: str,
    resize: bool,
    load: Callable[..., Any],
) -> None:
    """A pixel with one logit that is no number: ARGMAX 0, every probability NaN; no other pixel."""
    image = picture()
    image[5, 6] = image[20, 0] = 0  # black: the second class has no bias, its logit is 0
    with np.errstate(all="ignore"):
        expected = function(logits(image, 3, mean=mean))
    wrong = ~np.isfinite(expected).all(axis=0)
    assert 0 < wrong.sum() < wrong.size
    module = load(name, activation=activation, mean=[mean] * 3)
    maps, argmax = maps_of(module, image, resize=resize)
    assert np.isnan(maps[:, wrong]).all()
    assert (argmax[wrong] == 0).all()
    values = expected[:, ~wrong]
    assert values.argmax(axis=0).any()
    if activation == "softmax":
        np.testing.assert_allclose(maps[:, ~wrong], softmax(values), rtol=0, atol=1e-4)
    else:
        np.testing.assert_allclose(maps[:, ~wrong], values, rtol=1e-4, atol=1e-4)
    chosen = np.take_along_axis(values, argmax[~wrong][None].astype(np.int64), axis=0)[0]
    np.testing.assert_allclose(chosen, values.max(axis=0), rtol=1e-4, atol=1e-4)


def test_more_labels_than_a_byte_holds(load: Callable[..., Any]) -> None:
    assert load("logits_c300").labels(299).name == "CLASS_299"
    module = etseg.ImageSegmentationModule(argmax_dtype="uint8")
    module.load(program("logits_c300"))
    with pytest.raises(etseg.InvalidConfigError, match=r"uint8.*300 labels.*int32"):
        module.forward(picture(8, 12))


def test_a_constant_output_is_only_read(load: Callable[..., Any]) -> None:
    """It lies in the mapped file."""
    before = hashlib.sha256(program("constant").read_bytes()).digest()
    module = load("constant")
    maps, _ = maps_of(module, picture())
    other, _ = maps_of(module, picture(seed=1), resize=True)
    np.testing.assert_array_equal(maps, other)
    assert hashlib.sha256(program("constant").read_bytes()).digest() == before


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name: str) -> None:
    error_type, code, words = REFUSED[name]
    module = etseg.ImageSegmentationModule()
    module.load(program("logits_c3"))
    expected = module.forward(picture()).argmax
    with pytest.raises(error_type) as caught:
        module.load(program(name))
    assert type(caught.value) is error_type
    assert caught.value.code == code
    for word in (f"{name}.pte", *words):
        assert word in str(caught.value)
    np.testing.assert_array_equal(module.forward(picture()).argmax, expected)


def test_the_first_missing_thing_is_named_when_it_follows_another(
    load: Callable[..., Any],
) -> None:
    """The message speaks of this load, not of an earlier one on the same thread."""
    for name in ("bad_delegate", "missing_operator", "none_output"):
        with pytest.raises(etseg.InvalidModelError):
            load(name)
    with pytest.raises(etseg.UnsupportedModelError) as caught:
        load("bad_delegate")
    assert "nowhere" not in str(caught.value)
