"""Programs that describe themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import etseg
from etseg._model.metadata import complete

PROGRAMS = Path(__file__).parents[2] / "data" / "programs"
DESCRIBED = PROGRAMS / "described_c3.pte"


@pytest.fixture
def module() -> etseg.ImageSegmentationModule:
    return etseg.ImageSegmentationModule()


def rewritten(folder: Path, content: object) -> Path:
    """The program with other metadata, padded to the length that the file has room for."""
    program = DESCRIBED.read_bytes()
    start = program.index(b'{"schema"')
    end = program.index(b"}", start) + 1
    text = content if isinstance(content, str) else json.dumps(content)
    assert len(text) <= end - start
    path = folder / "rewritten.pte"
    path.write_bytes(program[:start] + text.ljust(end - start).encode() + program[end:])
    return path


def test_metadata_is_the_default(module: etseg.ImageSegmentationModule) -> None:
    module.load(DESCRIBED)
    spec = module.spec
    assert [label.name for label in module.labels] == ["WATER", "DRY_LAND", "SKY", "ARGMAX"]
    assert (spec.name, spec.licence, spec.resample) == ("three-classes", "CC0-1.0", "antialias")
    assert (spec.mean, spec.std) == ((0.25, 0.5, 0.125), (0.5, 0.25, 1.0))
    assert (spec.activation, spec.background) == ("softmax", 2)


def test_metadata_reaches_the_kernels(module: etseg.ImageSegmentationModule) -> None:
    """The same program with the same values in the spec gives the same maps."""
    image = np.random.default_rng(1).integers(0, 256, (60, 70, 3), np.uint8)
    module.load(DESCRIBED)
    own = module.forward(image, ["dry land"], resize=True)
    module.load(replace(module.spec, model_source=PROGRAMS / "logits_c3.pte"))
    said = module.forward(image, ["dry land"], resize=True)
    np.testing.assert_array_equal(own["dry land"], said["dry land"])
    module.load(PROGRAMS / "logits_c3.pte")
    plain = module.forward(image, [1], resize=True)
    assert not np.array_equal(own["dry land"], plain[1])


def test_an_explicit_value_wins(module: etseg.ImageSegmentationModule) -> None:
    module.load(
        etseg.ModelSpec(
            model_source=DESCRIBED, labels=["a", "b", "c"], mean=(0, 0, 0), background="a"
        )
    )
    assert module.labels(0).name == "A"
    assert module.spec.mean == (0.0, 0.0, 0.0)
    assert module.spec.std == (0.5, 0.25, 1.0)
    assert module.spec.background == 0


def test_a_program_without_metadata_has_the_usual_defaults(
    module: etseg.ImageSegmentationModule,
) -> None:
    module.load(PROGRAMS / "logits_c3.pte")
    assert (module.spec.mean, module.spec.std) == ((0, 0, 0), (1, 1, 1))
    assert (module.spec.activation, module.spec.name) == ("softmax", None)
    assert module.spec.resample == "antialias"


def test_only_the_schema_is_required(module: etseg.ImageSegmentationModule, tmp_path: Path) -> None:
    module.load(rewritten(tmp_path, {"schema": 1, "x-trained-on": "a cat"}))
    assert [label.name for label in module.labels] == ["CLASS_0", "CLASS_1", "CLASS_2", "ARGMAX"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "not JSON"),
        ([1, 2], "list"),
        ({"name": "no schema"}, "'schema' is None"),
        ({"schema": 2}, "'schema' is 2"),
        ({"schema": 1, "label": ["a", "b", "c"]}, "unknown fields ['label']"),
        ({"schema": 1, "name": 5}, "'name' is 5"),
        ({"schema": 1, "licence": ["MIT"]}, "'licence'"),
        ({"schema": 1, "mean": [0.5, 0.5]}, "mean is [0.5, 0.5]"),
        ({"schema": 1, "mean": "0.5"}, "mean is '0.5'"),
        ({"schema": 1, "std": [0.5, 0, 0.5]}, "std is"),
        ({"schema": 1, "activation": "tanh"}, "activation is 'tanh'"),
        ({"schema": 1, "resample": "cubic"}, "resample is 'cubic'"),
        ({"schema": 1, "labels": ["a", "a", "b"]}, "'a' stands twice"),
        ({"schema": 1, "labels": {"0": "a", "2": "b"}}, "keys of labels"),
    ],
)
def test_malformed_metadata_names_the_field(
    module: etseg.ImageSegmentationModule, tmp_path: Path, content: object, said: str
) -> None:
    module.load(etseg.SELFIE_SEGMENTATION)
    with pytest.raises(etseg.InvalidModelError) as caught:
        module.load(rewritten(tmp_path, content))
    assert said in str(caught.value)
    assert "etseg_metadata" in str(caught.value)
    assert module.labels is etseg.SelfieSegmentationLabel, "the loaded model must stay"


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": 1, "name": ' + '{"a":' * 100_000, "nested too deeply"),
        (json.dumps({"schema": 1, "mean": [10**400, 0, 0]}), "too large for a float"),
        ('{"schema": 1, "mean": [' + "9" * 5000 + ", 0, 0]}", "not JSON"),
    ],
)
def test_metadata_longer_than_any_that_is_honest(metadata: str, said: str) -> None:
    with pytest.raises(etseg.InvalidModelError, match=said):
        complete(etseg.ModelSpec(model_source="a.pte"), metadata, "a.pte")


def test_metadata_that_does_not_fit_the_program(
    module: etseg.ImageSegmentationModule, tmp_path: Path
) -> None:
    with pytest.raises(etseg.InvalidConfigError, match=r"2 labels.* 3 "):
        module.load(rewritten(tmp_path, {"schema": 1, "labels": ["a", "b"]}))
    with pytest.raises(etseg.InvalidConfigError, match="background"):
        module.load(rewritten(tmp_path, {"schema": 1, "background": "nowhere"}))


def test_metadata_that_is_no_string(module: etseg.ImageSegmentationModule) -> None:
    with pytest.raises(etseg.InvalidModelError, match="no constant string"):
        module.load(PROGRAMS / "described_by_number_c3.pte")
