"""Programs that describe themselves."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import etseg
from etseg._model.metadata import complete, written

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


FULL = etseg.ModelSpec(
    model_source="net.pte",
    name="five",
    labels=["sky", "wet road"],
    mean=(0.5, 0.25, 0.125),
    std=(1, 2, 4),
    activation="softmax",
    background="sky",
    resample="bilinear",
    logits_grid=etseg.LogitsGrid("align-corners", (513, 257)),
    licence="CC0-1.0",
    origin="https://example.org/net",
)


def test_what_is_written_is_read() -> None:
    """One code for both: an exporter's fields are the reader's."""
    empty = etseg.ModelSpec(model_source="net.pte")
    assert complete(empty, written(FULL), "net.pte") == FULL
    assert complete(empty, written(empty), "net.pte") == empty
    enum = replace(FULL, labels=etseg.SelfieSegmentationLabel, background="SELFIE")
    read = complete(empty, written(enum), "net.pte")
    assert read.labels == ("SELFIE", "BACKGROUND")


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"kind": "corners"}, "kind of logits_grid is 'corners'"),
        ({"kind": "align-corners"}, "size of logits_grid is None"),
        ({"kind": "align-corners", "size": [513]}, "size of logits_grid is"),
        ({"kind": "align-corners", "size": [0, 5]}, "size of logits_grid is"),
        ({"kind": "align-corners", "size": "ab"}, "size of logits_grid is"),
        ({"kind": "half-pixel", "size": [5, 5]}, "'half-pixel' has none"),
        ({"kind": "half-pixel", "offset": 1}, "expected a mapping with 'kind' and 'size'"),
        ("align-corners", "expected a mapping"),
    ],
)
def test_a_grid_that_is_none(grid: object, said: str) -> None:
    metadata = json.dumps({"schema": 1, "logits_grid": grid})
    with pytest.raises(etseg.InvalidModelError, match=said):
        complete(etseg.ModelSpec(model_source="net.pte"), metadata, "net.pte")


def test_a_spec_with_a_grid_is_a_key_and_travels() -> None:
    as_mapping = replace(FULL, logits_grid={"kind": "align-corners", "size": [513, 257]})  # type: ignore[arg-type]
    assert hash(as_mapping) == hash(FULL)
    assert pickle.loads(pickle.dumps(as_mapping)) == FULL


@pytest.mark.parametrize("size", [(24, 40), (31, 17), (6, 10)])
def test_a_grid_reaches_the_kernels(
    module: etseg.ImageSegmentationModule, size: tuple[int, int]
) -> None:
    """Pixels by half-pixel centres in the head's grid, and that by its corners in the logits."""
    head = (24, 40)
    module.load(
        etseg.ModelSpec(
            model_source=PROGRAMS / "stride4_c3.pte",
            activation="none",
            logits_grid=etseg.LogitsGrid("align-corners", head),
        )
    )
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    logits = module.forward(image, [1])[1].astype(np.float64)
    assert logits.shape == (6, 10)
    for axis in (0, 1):
        points, last = head[axis], logits.shape[axis] - 1
        centres = (np.arange(size[axis]) + 0.5) * points / size[axis] - 0.5
        places = centres.clip(0, points - 1) * last / (points - 1)
        before = np.floor(places).astype(int).clip(0, last)
        behind = (before + 1).clip(0, last)
        shape = (-1, 1) if axis == 0 else (1, -1)
        share = (places - before).reshape(shape)
        logits = logits.take(before, axis) * (1 - share) + logits.take(behind, axis) * share
    np.testing.assert_allclose(module.forward(image, [1], resize=True)[1], logits, atol=1e-5)
