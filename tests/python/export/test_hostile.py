"""Whatever a caller may do wrong: a clear error of etseg's, before anything takes long."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

from torch import nn

import etseg
from etseg.export import export
from etseg.export._job import Job, opened
from etseg.export._options import Options
from etseg.export._sources import open_network
from etseg.export._verification.photos import read_photos
from networks import build

SIZE = (48, 64)
LABELS = ["sky", "road", "tree", "house", "cat"]
UNSAID = "nothing says how the input is normalised"


def job(**described: Any) -> Job:
    """What is settled before the network is traced."""
    options = Options.checked(
        "net.pte", SIZE, "float32-nchw", None, "scores", described, None, "xnnpack", None, None,
        None, None,
    )  # fmt: skip
    return opened(build(), None, options, 0)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"size": (48.5, 64)}, etseg.InvalidUserInputError, r"size is \(48.5, 64\)"),
        ({"mean": 0.5}, etseg.InvalidConfigError, "mean is 0.5; expected three"),
        ({"std": 5}, etseg.InvalidConfigError, "std is 5; expected three"),
        ({"photos": 5}, etseg.InvalidUserInputError, "photos is 5; expected a folder"),
        ({"photos": []}, etseg.InvalidUserInputError, "no images"),
        ({"least_agreement": "x"}, etseg.InvalidUserInputError, "least_agreement is x"),
        ({"labels": LABELS, "background": "lake"}, etseg.InvalidConfigError, "'lake' is not a"),
        ({"background": "lake"}, etseg.InvalidConfigError, "'lake' is not a"),
        ({"background": "argmax"}, etseg.InvalidConfigError, "background is ARGMAX"),
        ({"labels": ["a"] * 5}, etseg.InvalidConfigError, "'a' stands twice"),
    ],
)
def test_arguments(tmp_path: Path, given: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        export(build(), tmp_path / "net.pte", **{"size": SIZE, **given})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("folder.pte", "it is a folder"),
        ("nowhere/net.pte", "there is no folder"),
        ("file/net.pte", "there is no folder"),
        ("a\0.pte", "NUL"),
        ("a" * 300 + ".pte", "too long"),
    ],
)
def test_paths_that_cannot_be_written_are_told_first(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "folder.pte").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(etseg.FileWriteError, match=said):
        export("nowhere.py:build", tmp_path / path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def build(:", "SyntaxError"),
        ("1 / 0", r"cannot be run: ZeroDivisionError.*net\.py:1"),
        ("def build():\n    raise RuntimeError('no such file')", r"RuntimeError: no.*net\.py:2"),
        ("def build(depth):\n    return depth", "missing 1 required positional argument"),
    ],
)
def test_a_function_of_the_callers_that_fails(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(etseg.InvalidModelSourceError, match=said):
        open_network(f"{tmp_path / 'net.py'}:build", None, None)


def test_names_that_are_no_identifiers() -> None:
    names = ["Himmel über", "人", "1x", "class", "a b"]
    found = job(labels=names)
    assert found.spec.labels == tuple(names)


@pytest.mark.parametrize("given", [{}, {"mean": (0.5,) * 3}, {"std": (0.5,) * 3}])
def test_a_normalisation_that_nobody_knows_is_said(given: dict[str, Any]) -> None:
    assert any(UNSAID in note for note in job(**given).network.notes) == (not given)


class Pixels(nn.Module):
    """Scores of a pixel by its colour alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, classes, 1)

    def forward(self, image: Any) -> Any:
        return self.score(image)


def test_more_labels_than_a_byte_has(tmp_path: Path) -> None:
    network = Pixels(300).eval()
    network.score.weight.data *= 5  # every part of the colours has a class of its own
    names = [f"label {index}" for index in range(300)]
    report = export(network, tmp_path / "net.pte", size=SIZE, labels=names)
    assert report.agreement > 0.999
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        argmax = module.forward(image, resize=True).argmax
    assert argmax.dtype == np.int32
    assert argmax.max() > 255


STAGES = ["opening the network", "tracing it", "lowering it for xnnpack", "comparing the two"]


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Nor half a file: what stood there before stands there."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "net.pte").write_text("what was there")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def interrupt(begun: str) -> None:
        if begun == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(build(), tmp_path / "out" / "net.pte", size=SIZE, on_progress=interrupt)
    assert (tmp_path / "out" / "net.pte").read_text() == "what was there"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["net.pte"]
    assert list((tmp_path / "temporary").iterdir()) == []


def segformer(folder: Path, processor: object = None, **configured: Any) -> str:
    """A SegFormer with random weights in a folder, and what stands there of its processor."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    network = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            num_labels=5, depths=[1] * 4, hidden_sizes=[8, 16, 24, 32],
            num_attention_heads=[1, 1, 2, 4], decoder_hidden_size=16,
        )
    )  # fmt: skip
    network.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | configured
    (folder / "config.json").write_text(json.dumps(config))
    if processor is not None:
        text = processor if isinstance(processor, str) else json.dumps(processor)
        (folder / "preprocessor_config.json").write_text(text)
    return f"hf:{folder}"


def test_without_a_processor_nothing_is_known_of_the_input(tmp_path: Path) -> None:
    found = open_network(segformer(tmp_path), None, None)
    assert found.size is None
    assert "no image processor" in found.unsaid
    assert not found.fields.keys() & {"mean", "std"}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"shortest_edge": 96}, (96, 96)),
        ({"longest_edge": 96}, (96, 96)),
        ({"shortest_edge": 64, "longest_edge": 96}, (64, 64)),
        ({"max_height": 64, "max_width": 96}, (64, 96)),
    ],
)
def test_a_processor_that_keeps_proportions(
    tmp_path: Path, size: dict[str, int], expected: tuple[int, int]
) -> None:
    processor = {"image_processor_type": "SegformerImageProcessor", "size": size}
    found = open_network(segformer(tmp_path, processor), None, None)
    assert found.size == expected
    assert any("keeps an image's proportions" in note for note in found.notes)


@pytest.mark.parametrize("processor", ["{not json", {"image_processor_type": "NoSuchProcessor"}])
def test_a_processor_that_does_not_load_is_none_that_is_not_there(
    tmp_path: Path, processor: object
) -> None:
    with pytest.raises(etseg.InvalidModelSourceError, match=r"preprocessor_config\.json.*not load"):
        open_network(segformer(tmp_path, processor), None, None)


def test_labels_that_do_not_begin_at_0_are_not_taken(tmp_path: Path) -> None:
    names = {str(index): f"class {index}" for index in range(1, 6)}
    found = open_network(segformer(tmp_path, id2label=names), None, None)
    assert "labels" not in found.fields
    assert any("id2label is for [1, 2, 3, 4, 5]" in note for note in found.notes)


def test_folders_that_hold_no_network(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    (tmp_path / "config.json").write_text('{"model_type": "nosuch"}')
    with pytest.raises(etseg.InvalidModelSourceError, match="no network that transformers knows"):
        open_network(f"hf:{tmp_path}", None, None)
    source = segformer(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(etseg.InvalidModelSourceError, match=r"weights of .* do not load"):
        open_network(source, None, None)


def test_a_folder_of_photos_is_read_as_every_other_is(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 2 1 255\n" + bytes(6))
    (tmp_path / "notes.txt").write_text("no photo")
    assert [photo.pixels.shape for photo in read_photos(tmp_path)] == [(1, 2, 3)]
