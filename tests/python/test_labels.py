"""Labels: what the channels mean, and what a caller may call them."""

from __future__ import annotations

import pickle
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etseg
from children import output_of
from etseg import DeeplabLabel, ImageSegmentationModule, SelfieSegmentationLabel
from etseg._label_enums import enum_of_names, normalize_labels
from etseg._labels import LabelSet
from programs import picture, program


class Three(IntEnum):
    """A caller's own labels."""

    ROAD = 0
    SKY = 1
    TREE = 2


class ThreeAndArgmax(IntEnum):
    """With a member for the label map."""

    ROAD = 0
    SKY = 1
    TREE = 2
    ARGMAX = 3


class Colour(Enum):
    """No IntEnum at all."""

    RED = 0


def loaded(labels: Any = None, name: str = "logits_c3") -> ImageSegmentationModule:
    module = ImageSegmentationModule()
    module.load({"model_source": program(name), "labels": labels})
    return module


def test_the_references_labels() -> None:
    assert [label.name for label in DeeplabLabel] == [
        "BACKGROUND", "AEROPLANE", "BICYCLE", "BIRD", "BOAT", "BOTTLE", "BUS", "CAR", "CAT",
        "CHAIR", "COW", "DININGTABLE", "DOG", "HORSE", "MOTORBIKE", "PERSON", "POTTEDPLANT",
        "SHEEP", "SOFA", "TRAIN", "TVMONITOR", "ARGMAX",
    ]  # fmt: skip
    assert [int(label) for label in DeeplabLabel] == list(range(22))
    assert {label.name: int(label) for label in SelfieSegmentationLabel} == {
        "SELFIE": 0,
        "BACKGROUND": 1,
        "ARGMAX": 2,
    }


def test_the_person_is_called_person(selfie: ImageSegmentationModule, photo_path: Path) -> None:
    """Wherever a label is named; index 0 is the reference's SELFIE as before."""
    assert SelfieSegmentationLabel.PERSON is SelfieSegmentationLabel.SELFIE
    assert selfie.labels is SelfieSegmentationLabel
    result = selfie.forward(photo_path, ["person", "PERSON", SelfieSegmentationLabel.PERSON])
    assert [getattr(key, "name", key) for key in result] == ["ARGMAX", "SELFIE"]
    assert result["PERSON"] is result["SELFIE"] is result[0]
    assert result.areas()["PERSON"] == result.areas()["SELFIE"]
    assert result.boxes()["Person"] == result.boxes()[0]
    np.testing.assert_array_equal(result.mask("PERSON"), result.mask(0))
    np.testing.assert_array_equal(
        result.colorize({"PERSON": "#ff0000"}), result.colorize({"SELFIE": "#ff0000"})
    )


def test_further_names_of_an_enum_are_names() -> None:
    class Pets(IntEnum):
        CAT = 0
        FELINE = 0
        DOG = 1
        ARGMAX = 2

    labels = LabelSet(normalize_labels(Pets))  # type: ignore[arg-type]
    assert labels.members == (Pets.CAT, Pets.DOG)
    assert labels.find("feline") is labels.find("cat") is labels.find(0) is Pets.CAT
    with pytest.raises(etseg.LabelError, match=r"Valid: CAT, DOG$"):
        labels.find("bird")


@pytest.mark.parametrize("label", [DeeplabLabel.CAT, "CAT", "cat", 8, np.int64(8), np.uint8(8)])
def test_a_label_by_member_name_and_index(label: Any) -> None:
    result = loaded(name="logits_c21").forward(picture(), [label])
    assert list(result) == [DeeplabLabel.ARGMAX, DeeplabLabel.CAT]
    assert result[label] is result[DeeplabLabel.CAT]


@pytest.mark.parametrize("label", [DeeplabLabel.ARGMAX, "ARGMAX", "argmax"])
def test_argmax_may_be_asked_for_and_is_there_anyway(label: Any) -> None:
    result = loaded(name="logits_c21").forward(picture(), [label])
    assert list(result) == [DeeplabLabel.ARGMAX]
    assert result[label] is result.argmax


@pytest.mark.parametrize(
    ("label", "meant"),
    [("persn", "PERSON"), ("Motor-bike", "MOTORBIKE"), ("people", None), ("x" * 10**6, None)],
)
def test_a_label_that_is_mistyped(label: str, meant: str | None) -> None:
    """The near one is named."""
    with pytest.raises(etseg.LabelError) as caught:
        LabelSet(DeeplabLabel).find(label)
    message = str(caught.value)
    assert "Valid: BACKGROUND" in message
    assert ("did you mean" in message) == (meant is not None)
    assert meant is None or f"; did you mean {meant!r}? Valid" in message


def test_a_mistyped_label_is_named_as_it_was_given() -> None:
    """People who call a label "traffic light" are told so; the person is not called SELFIE."""
    with pytest.raises(etseg.LabelError, match="mean 'traffic light'"):
        LabelSet(("road", "traffic light")).find("trafic light")
    with pytest.raises(etseg.LabelError, match=r"mean 'PERSON'\? Valid: PERSON, BACKGROUND$"):
        LabelSet(SelfieSegmentationLabel).find("Persn")


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("UNICORN", "'UNICORN'"),
        ("", "''"),
        (" CAT", "' CAT'"),
        (SelfieSegmentationLabel.SELFIE, "another enum"),
        (SelfieSegmentationLabel.ARGMAX, "another enum"),
        (Three.SKY, "another enum"),
        (Colour.RED, "another enum"),
        (True, "a bool is not an index"),
        (False, "a bool is not an index"),
        (np.True_, "a bool is not an index"),
        (-1, "0 to 20"),
        (21, "0 to 20"),
        (10**30, "0 to 20"),
        (8.0, "8.0"),
        (np.float32(8), "8.0"),
        (None, "None"),
        (b"CAT", "b'CAT'"),
        (("CAT",), "'CAT'"),
    ],
)
def test_no_label(label: Any, why: str) -> None:
    """IntEnums compare equal across enums: SELFIE must not pass for BACKGROUND."""
    module = loaded(name="logits_c21")
    with pytest.raises(etseg.LabelError) as caught:
        module.forward(picture(), ["DOG", label])
    message = str(caught.value)
    assert why in message
    assert "is not a label of this model" in message
    assert "BACKGROUND, AEROPLANE, BICYCLE" in message
    assert "TVMONITOR" in message
    assert isinstance(caught.value, (KeyError, ValueError))
    result = module.forward(picture())
    with pytest.raises(KeyError):
        result[label]


def test_a_long_list_of_labels_is_cut() -> None:
    with pytest.raises(etseg.LabelError, match=r"CLASS_29, \.\.\. \(300 in all\)"):
        loaded(name="logits_c300").forward(picture(8, 12), ["CAT"])


@pytest.mark.parametrize("classes", ["CAT", b"CAT", DeeplabLabel.CAT, 8, None, 8.5])
def test_classes_must_be_a_list(classes: Any) -> None:
    """A string is an iterable of its letters, and hardly ever meant so."""
    module = loaded(name="logits_c21")
    with pytest.raises(
        etseg.InvalidUserInputError, match=r"expected a list of labels.*\['(BACK|CAT')"
    ):
        module.forward(picture(), classes)
    assert module.forward(picture(), []).size == (24, 40)


def test_the_list_that_was_expected_has_the_name_that_people_read(
    selfie: ImageSegmentationModule,
) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=r"such as \['PERSON'\]"):
        selfie.forward(picture(), "all")


def test_labels_are_checked_before_the_image_is_read() -> None:
    with pytest.raises(etseg.LabelError):
        loaded().forward("/nowhere.jpg", ["CAT"])


@pytest.mark.parametrize("labels", [Three, ThreeAndArgmax])
def test_a_callers_own_enum(labels: Any) -> None:
    module = loaded(labels)
    assert module.labels is labels
    result = module.forward(picture(), [labels.TREE, "sky"])
    argmax = getattr(labels, "ARGMAX", "ARGMAX")
    assert list(result) == [argmax, labels.TREE, labels.SKY]
    assert result["ARGMAX"] is result.argmax
    assert list(dict(result)) == list(result)


@pytest.mark.parametrize(
    "labels",
    [
        ["road", "open sky", "tree"],
        ("road", "open sky", "tree"),
        {0: "road", 1: "open sky", 2: "tree"},
        {"2": "tree", "0": "road", "1": "open sky"},
        iter(["road", "open sky", "tree"]),
    ],
    ids=["list", "tuple", "id2label", "JSON's id2label", "iterator"],
)
def test_names_become_an_enum(labels: Any) -> None:
    """Under the name given, and as the identifier made of it."""
    module = loaded(labels)
    assert [label.name for label in module.labels] == ["ROAD", "OPEN_SKY", "TREE", "ARGMAX"]
    result = module.forward(picture(), ["open sky"])
    assert result["open sky"] is result["OPEN_SKY"] is result["Open Sky"] is result[1]


def test_names_that_make_the_same_identifier() -> None:
    module = loaded(["a b", "a-b", "argmax"])
    result = module.forward(picture(), ["a b", "a-b", 2])
    assert len({id(result[key]) for key in ("a b", "a-b", 2)}) == 3
    assert result["ARGMAX"] is result.argmax
    assert len(set(module.labels)) == 4


@pytest.mark.parametrize("names", [["3d", "é", "\U0001f600"], ["class", "None", "mro"]])
def test_names_of_any_kind(names: list[str]) -> None:
    module = loaded(names)
    result = module.forward(picture(), names)
    assert len(result) == 4
    assert [result[name] is result[index] for index, name in enumerate(names)] == [True] * 3


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", ["logits_c3"])
def test_labels_that_do_not_match_the_channels(count: int, name: str) -> None:
    module = loaded()
    with pytest.raises(etseg.InvalidConfigError, match=rf"{count} labels.*3 .*\(3 channels\)"):
        module.load({"model_source": program(name), "labels": [f"l{i}" for i in range(count)]})
    assert module.forward(picture()).size == (24, 40)


def test_one_channel_has_two_labels() -> None:
    module = loaded(["yes", "no"], "sigmoid_c1")
    assert len(module.forward(picture(), ["yes", "no"])) == 3
    with pytest.raises(etseg.InvalidConfigError, match=r"1 labels.*2.*one channel"):
        loaded(["yes"], "sigmoid_c1")


def test_members_travel_between_processes() -> None:
    """Made from names, an enum has no name of its own; equal names are the same enum."""
    names = ("road", "open sky")
    member = enum_of_names(names)(1)
    assert pickle.loads(pickle.dumps(member)) is member
    assert enum_of_names(names) is enum_of_names(names)
    output = output_of(
        "import pickle, sys; print(repr(pickle.loads(bytes.fromhex(sys.argv[1]))))",
        pickle.dumps(member).hex(),
    )
    assert "OPEN_SKY: 1" in output
