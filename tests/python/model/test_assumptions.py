"""What is assumed where nobody says it, and mistakes that would be silent."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import etseg
from etseg import ImageSegmentationModule, ModelSpec, resources
from programs import program


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mean": (123.675, 116.28, 103.53)}, ("mean is (123.675", "(0.485, 0.456, 0.406)")),
        ({"std": (58.395, 57.12, 57.375)}, ("std is (58.395", "(0.229, 0.224, 0.225)")),
        ({"mean": (104, 117, 123), "std": (1, 1, 1)}, ("mean and std by 255",)),
        ({"mean": (0.5, 0.5, 127.5)}, ("divide",)),
        ({"mean": (0, 0, 0), "std": (255, 255, 255)}, ("(1.0, 1.0, 1.0)",)),
    ],
)
def test_units_of_255(fields: dict[str, Any], words: tuple[str, ...]) -> None:
    for make in (
        lambda: ModelSpec(model_source="a.pte", **fields),
        lambda: ImageSegmentationModule({"model_source": program("logits_c3"), **fields}),
        lambda: ImageSegmentationModule.from_custom_model(program("logits_c3"), **fields),
    ):
        with pytest.raises(etseg.InvalidConfigError) as caught:
            make()
        assert all(word in str(caught.value) for word in (*words, "0..255", "divide"))


@pytest.mark.parametrize("mean", [(0, 0, 0), (1, 1, 1), (-1, -0.5, 0.5)])
@pytest.mark.parametrize("std", [(1, 1, 1), (0.00392, 0.5, 2)])
def test_units_of_1(mean: Any, std: Any) -> None:
    ModelSpec(model_source="a.pte", mean=mean, std=std)


NOTHING = ("pixels of 0..1 with mean 0 and std 1", "activation 'softmax'")


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("logits_c3", {}, (NOTHING[0], "labels CLASS_0, CLASS_1, CLASS_2", NOTHING[1])),
        ("logits_c21", {}, (NOTHING[0], "AEROPLANE, BICYCLE, ... (21 in all)", NOTHING[1])),
        ("logits_c1", {}, (NOTHING[0], "labels SELFIE, BACKGROUND", "activation 'none'")),
        ("logits_c3", {"mean": (0.5,) * 3, "labels": list("abc")}, ("with std 1", NOTHING[1])),
        ("logits_c3", {"std": (0.5,) * 3, "activation": "none"}, ("with mean 0", "labels")),
    ],
)
def test_are_logged_once(
    name: str,
    spec: dict[str, Any],
    expected: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "etseg")
    with ImageSegmentationModule({"model_source": program(name), **spec}) as module:
        module.warmup()
        module.warmup()
    (record,) = (each for each in caplog.records if "assumed" in each.getMessage())
    assert record.levelno == logging.INFO
    message = record.getMessage()
    assert f"{name}.pte" in message
    assert all(each in message for each in expected)
    left_out = {"labels", "activation"} & set(spec)
    assert not any(f"; {each}" in message for each in left_out)


@pytest.mark.parametrize("model", ["selfie-segmentation", "described", "spec"])
def test_nothing_is_assumed_of_a_model_that_says_all(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etseg")
    given: Any = {
        "described": program("described_c3"),
        "spec": {
            "model_source": program("logits_c3"),
            "mean": (0, 0, 0),
            "std": (1, 1, 1),
            "labels": list("abc"),
            "activation": "softmax",
        },
    }.get(model, model)
    ImageSegmentationModule(given).delete()
    assert [each for each in caplog.records if "assumed" in each.getMessage()] == []


class TestNames:
    """A model goes by the name that the catalogue has for it, wherever one is named."""

    def test_everywhere(self) -> None:
        name = "selfie-segmentation"
        module = ImageSegmentationModule(name)
        assert module.spec.name == name
        module.load("selfie-segmentation-landscape")
        assert module.input_size == (144, 256)
        module.delete()
        assert resources.fetch(name) == resources.fetch(etseg.SELFIE_SEGMENTATION)
        assert resources.get_files_total_size(name) > 400_000

    def test_the_constructor_loads(self) -> None:
        seen: list[float] = []
        module = ImageSegmentationModule(program("logits_c3"), seen.append, concurrency=2)
        assert module.is_loaded
        assert seen == [1.0]
        assert module.concurrency == 2
        module.delete()
        assert not ImageSegmentationModule(concurrency=2).is_loaded
        with pytest.raises(etseg.FileMissingError):
            ImageSegmentationModule("nowhere.pte")

    def test_a_file_of_that_name_is_named_by_a_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shutil.copy(program("logits_c3"), "selfie-segmentation")
        assert len(ImageSegmentationModule("./selfie-segmentation").labels) == 4
        assert len(ImageSegmentationModule(Path("selfie-segmentation")).labels) == 4
        assert len(ImageSegmentationModule("selfie-segmentation").labels) == 3

    def test_one_that_there_is_not(self) -> None:
        with pytest.raises(
            etseg.FileMissingError, match=r"no such file: 'unet'; nor has .* known: deeplab"
        ):
            ImageSegmentationModule("unet")
        with pytest.raises(etseg.FileMissingError) as caught:
            ImageSegmentationModule("unet.pte")
        assert str(caught.value) == "no such file: 'unet.pte'"

    @pytest.mark.parametrize("name", ["selfie-segmentatoin", "selfie_segmentation"])
    def test_one_that_is_nearly_right(self, name: str) -> None:
        with pytest.raises(etseg.FileMissingError, match="did you mean 'selfie-segmentation'"):
            ImageSegmentationModule(name)
