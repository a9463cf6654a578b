"""Networks in ONNX, converted to torch, against onnxruntime."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")
pytest.importorskip("onnx", reason="needs the extra 'export-onnx'")
pytest.importorskip("onnxruntime", reason="needs the extra 'export-onnx'")
if find_spec("onnx2torch") is None:  # which imports torchvision
    pytest.skip("needs the extra 'export-onnx'", allow_module_level=True)

import onnx
import torch
from torch import nn

import etseg
import networks  # noqa: F401  # makes torchvision importable beside any torch
from etseg.export import ExportError, export
from etseg.export._sources import onnx as source
from etseg.export._sources import open_network
from networks import Segmentation, build, seeded

SIZE = (48, 64)


class _Scores(nn.Module):
    """The logits of a network, and nothing else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.network(image)["out"]
        return scores


def written(network: nn.Module, path: Path, **options: Any) -> Path:
    torch.onnx.export(
        _Scores(network).eval(), (torch.rand(1, 3, *SIZE),), path, input_names=["image"],
        dynamo=False, opset_version=options.pop("opset_version", 17), **options,
    )  # fmt: skip
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("corners", [False, True])
def test_from_a_file_to_a_program(tmp_path: Path, corners: bool) -> None:
    """The upsampling at its end is found in what was converted, too."""
    network = seeded(Segmentation(corners))
    path = written(network, tmp_path / "net.onnx")
    report = export(path, tmp_path / "net.pte", low_stride=True, least_agreement=0)
    assert report.input_size == SIZE
    assert report.cut is not None
    assert (report.cut.logits, report.cut.output) == ((12, 16), SIZE)
    assert report.cut.grid == ("align-corners" if corners else "half-pixel")
    assert report.left == {}
    image = np.random.default_rng(2).integers(0, 256, (*SIZE, 3), np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network.backbone(pixels).softmax(1)[0].numpy()
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        result = module.forward(image, range(5))
    for label in range(5):
        assert np.abs(result[label] - expected[label]).max() < 1e-3


class _Tokens(nn.Module):
    """As transformers do it: pixels in a row and back, by sizes that ONNX has as constants."""

    def __init__(self) -> None:
        super().__init__()
        self.network = build()
        self.mix = nn.Linear(5, 5)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.network.backbone(image)
        count, channels, height, width = scores.shape
        tokens = self.mix(scores.reshape(count, channels, -1).permute(0, 2, 1))
        heads = tokens.reshape(count, -1, 5, 1).permute(0, 2, 1, 3)
        return {"out": heads.reshape(count, 5, height, width)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("size", [None, (96, 64)])
def test_sizes_that_are_computed(tmp_path: Path, size: tuple[int, int] | None) -> None:
    axes = {} if size is None else {"image": {2: "height", 3: "width"}}
    network = seeded(_Tokens())
    found = open_network(
        written(network, tmp_path / "net.onnx", dynamic_axes=axes), None, None, size
    )
    assert found.size == (size or SIZE)
    image = torch.rand(1, 3, *found.size)
    with torch.no_grad():
        torch.testing.assert_close(found.module(image), network(image)["out"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_for_any_size(tmp_path: Path) -> None:
    axes = {"image": {0: "batch", 2: "height", 3: "width"}}
    path = written(build(), tmp_path / "net.onnx", dynamic_axes=axes)
    found = open_network(path, None, None, (96, 64))
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.module(image), build()(image)["out"])
    with pytest.raises(etseg.InvalidModelSourceError, match="is for images of 48x64"):
        open_network(written(build(), tmp_path / "fixed.onnx"), None, None, (96, 64))
    with pytest.raises(etseg.InvalidUserInputError, match="say which"):
        export(path, tmp_path / "net.pte")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_wrong_conversion_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx2torch

    convert = onnx2torch.convert

    def wrong(model: Any) -> nn.Module:
        module: nn.Module = convert(model)
        next(module.parameters()).data *= 1.1
        return module

    monkeypatch.setattr(onnx2torch, "convert", wrong)
    with pytest.raises(ExportError, match="differs from onnxruntime"):
        open_network(written(build(), tmp_path / "net.onnx"), None, None)


def graph(*nodes: Any, inputs: Any = None, **domains: int) -> Any:
    image = onnx.helper.make_tensor_value_info("image", 1, inputs or [1, 3, 8, 8])
    scores = onnx.helper.make_tensor_value_info("scores", 1, ["n", "c", "h", "w"])
    made = onnx.helper.make_graph(list(nodes), "g", [image], [scores])
    opsets = [onnx.helper.make_opsetid("", 17)]
    opsets += [onnx.helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=9)


def node(kind: str, source: str, target: str, **options: Any) -> Any:
    return onnx.helper.make_node(kind, [source], [target], **options)


def test_operators_that_are_not_converted_are_named(tmp_path: Path) -> None:
    """All of them, with a place in the graph."""
    path = tmp_path / "net.onnx"
    onnx.save(
        graph(
            node("Relu", "image", "a"), node("Hardmax", "a", "b", name="late"),
            node("Shrink", "b", "scores"),
        ),
        path,
    )  # fmt: skip
    with pytest.raises(etseg.InvalidModelSourceError) as caught:
        open_network(path, None, None)
    assert "Hardmax (such as 'late'), Shrink (such as 'scores')" in str(caught.value)


@pytest.mark.parametrize("shape", [[1, 8, 8, 3], [2, 3, 8, 8], [3, 8, 8]])
def test_what_is_no_image(tmp_path: Path, shape: list[int]) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(graph(node("Relu", "image", "scores"), inputs=shape), path)
    with pytest.raises(etseg.InvalidModelSourceError, match=r"expected one image \[1, 3, H, W\]"):
        open_network(path, None, None)


def test_what_is_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(etseg.FileReadError, match="no file"):
        open_network(path, None, None)
    path.write_bytes(b"not at all")
    with pytest.raises(etseg.InvalidModelSourceError, match="no ONNX network"):
        open_network(path, None, None)
    with pytest.raises(etseg.InvalidModelSourceError, match="has its own"):
        open_network(path, "w.pt", None)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx2torch", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"onnx2torch: pip install 'etseg\[export-onnx\]'"
    ):
        source.from_onnx(tmp_path / "net.onnx", None, None)
