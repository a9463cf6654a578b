"""ModelSpec: each field checked when it is made, with the value in the message."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from etseg import DeeplabLabel, ImageSegmentationModule, ModelSpec
from programs import picture, program, sigmoid


class Gap(IntEnum):
    """No label 1."""

    A = 0
    B = 2


class EarlyArgmax(IntEnum):
    """ARGMAX is not behind the classes."""

    ARGMAX = 2
    A = 0
    B = 1
    C = 2


class Words(Enum):
    """No numbers."""

    A = "a"


def test_is_immutable() -> None:
    spec = ModelSpec(model_source="a.pte")
    with pytest.raises(FrozenInstanceError):
        spec.mean = (0, 0, 0)  # type: ignore[misc]
    assert replace(spec, name="b").name == "b"
    assert spec == ModelSpec(model_source="a.pte")


def test_is_hashable() -> None:
    """Whatever the labels were given as."""
    specs = [
        ModelSpec(model_source="a", labels=labels)
        for labels in (["a", "b"], ("a", "b"), {0: "a", 1: "b"}, {"1": "b", "0": "a"})
    ]
    assert len(set(specs)) == 1
    assert len({*specs, ModelSpec(model_source="a", labels=DeeplabLabel)}) == 2


def test_normalises() -> None:
    spec = ModelSpec(
        model_source=Path("a"),
        mean=np.array([0.5, 0.25, 0.125]),  # type: ignore[arg-type]
        std=[1, 2, 3],  # type: ignore[arg-type]
        sha256="AB" * 32,
    )
    assert spec.mean == (0.5, 0.25, 0.125)
    assert spec.std == (1.0, 2.0, 3.0)
    assert spec.sha256 == "ab" * 32


BAD_FIELDS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("mean", (0.5, 0.5), ("(0.5, 0.5)", "three")),
    ("mean", (0.5,) * 4, ("three",)),
    ("mean", 0.5, ("0.5", "three")),
    ("mean", "abc", ("'abc'", "three")),
    ("mean", (0.5, None, 0.5), ("None", "three")),
    ("mean", (0.0, float("nan"), 0.0), ("nan", "finite")),
    ("mean", (0.0, float("inf"), 0.0), ("inf", "finite")),
    ("mean", (10**400, 0, 0), ("too large", "finite")),
    ("std", (1, 10**5000, 1), ("too large", "finite")),
    ("std", (1.0, 1.0), ("(1.0, 1.0)", "three")),
    ("std", (1.0, 0.0, 1.0), ("0.0", "above 0")),
    ("std", (1.0, -0.5, 1.0), ("-0.5", "above 0")),
    ("std", (1.0, float("nan"), 1.0), ("nan", "finite")),
    ("activation", "relu", ("'relu'", "'softmax'", "'sigmoid'", "'normalise'", "'none'")),
    ("activation", "SOFTMAX", ("'SOFTMAX'", "'softmax'")),
    ("activation", 1, ("1", "'softmax'")),
    ("activation", [], ("[]", "'softmax'")),
    ("resample", "nearest", ("'nearest'", "'bilinear'", "'antialias'")),
    ("resample", {}, ("{}", "'bilinear'")),
    ("sha256", "abc", ("'abc'", "64 hex")),
    ("sha256", "g" * 64, ("64 hex",)),
    ("sha256", 5, ("5", "64 hex")),
    ("labels", "cat", ("'cat'", "names")),
    ("labels", 21, ("21", "names")),
    ("labels", [], ("names",)),
    ("labels", ["a", ""], ("empty",)),
    ("labels", ["a", 5], ("5", "names")),
    ("labels", ["a", "b", "a"], ("'a'", "twice")),
    ("labels", {1: "a", 2: "b"}, ("0, 1, 2",)),
    ("labels", {"zero": "a"}, ("zero", "0, 1, 2")),
    ("labels", {0: "a", "0": "b"}, ("0, 1, 2",)),
    ("labels", dict, ("dict", "IntEnum")),
    ("labels", Words, ("Words", "IntEnum")),
    ("labels", Gap, ("Gap", "0, 1, 2")),
    ("labels", EarlyArgmax, ("ARGMAX",)),
]


@pytest.mark.parametrize(("field", "value", "words"), BAD_FIELDS)
def test_a_bad_field(field: str, value: Any, words: tuple[str, ...]) -> None:
    """Alone, and in a mapping given to load()."""
    fields = {"model_source": program("logits_c3"), field: value}
    module = ImageSegmentationModule()
    for make in (lambda: ModelSpec(**fields), lambda: module.load(fields)):
        with pytest.raises(etseg.InvalidConfigError) as caught:
            make()
        for word in words:
            assert word in str(caught.value)
        assert field.rstrip("s") in str(caught.value) or isinstance(value, type)
    assert not module.is_loaded


@pytest.mark.parametrize("source", [None, 5, b"a.pte", ["a.pte"]])
def test_a_bad_source(source: Any) -> None:
    with pytest.raises(etseg.InvalidModelSourceError, match=r"expected.*path"):
        ModelSpec(model_source=source)
    for model in (source, {"model_source": source}):
        with pytest.raises(etseg.InvalidModelSourceError):
            ImageSegmentationModule().load(model)


def test_a_mapping_without_source_or_with_more() -> None:
    module = ImageSegmentationModule()
    with pytest.raises(etseg.InvalidModelSourceError, match="model_source"):
        module.load({"labels": ["a"]})
    with pytest.raises(etseg.InvalidConfigError, match=r"unknown fields \['variance'\].*'std'"):
        module.load({"model_source": "a.pte", "variance": (1, 1, 1)})


@pytest.mark.parametrize(
    ("name", "activation", "words"),
    [
        ("sigmoid_c1", "softmax", ("'softmax'", "'sigmoid'", "'none'")),
    ],
)
def test_an_activation_that_does_not_fit_the_program(
    name: str, activation: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(etseg.InvalidConfigError) as caught:
        ImageSegmentationModule().load({"model_source": program(name), "activation": activation})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("background", "index"), [(None, None), ("sky", 1), (2, 2), ("TREE", 2)])
def test_background(background: Any, index: int | None) -> None:
    module = ImageSegmentationModule()
    labels = ["road", "sky", "tree"]
    module.load({"model_source": program("logits_c3"), "labels": labels, "background": background})
    assert module.spec.background == index


@pytest.mark.parametrize("background", ["ARGMAX", "cat", 3, -1, True])
def test_a_background_that_is_no_class(background: Any) -> None:
    module = ImageSegmentationModule()
    with pytest.raises(etseg.EtsegError) as caught:
        module.load({"model_source": program("logits_c3"), "background": background})
    assert isinstance(caught.value, ValueError)
    assert "background" in str(caught.value)


def test_mean_and_std_reach_the_program() -> None:
    """(value - mean) / std, in the image's own channel order."""
    image = picture()
    plain = ImageSegmentationModule()
    plain.load({"model_source": program("logits_c1"), "activation": "sigmoid"})
    shifted = ImageSegmentationModule()
    mean, std = (0.25, 0.5, 0.75), (0.5, 0.25, 2.0)
    shifted.load(
        {"model_source": program("logits_c1"), "activation": "sigmoid", "mean": mean, "std": std}
    )
    weight, bias = np.array([-8, -3, 2]) / 8, -3 / 8  # of the one class
    for module, m, s in ((plain, (0, 0, 0), (1, 1, 1)), (shifted, mean, std)):
        expected = sigmoid(((image / 255 - m) / s) @ weight + bias)
        got = module.forward(image, ["SELFIE"])["SELFIE"]
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def test_the_loaded_spec_can_be_loaded_again() -> None:
    module = ImageSegmentationModule()
    module.load(program("logits_c21"))
    expected = module.forward(picture(), ["CAT"])["CAT"]
    other = ImageSegmentationModule()
    other.load(module.spec)
    np.testing.assert_array_equal(other.forward(picture(), ["CAT"])["CAT"], expected)


def test_the_catalogue() -> None:
    assert len(etseg.CATALOGUE) >= 14
    for name, spec in etseg.CATALOGUE.items():
        assert spec.name == name
        constant = name.upper().replace("-", "_")
        assert getattr(etseg, constant) is spec
        assert constant in etseg.__all__
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (etseg.FCN_RESNET50.mean, etseg.FCN_RESNET50.std) == imagenet
    assert etseg.FCN_RESNET50.labels is DeeplabLabel
