"""What a caller may call a network, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
from torch import nn

import etseg
from etseg.export._sources import open_network
from etseg.export._sources.transformers import processed_size, read_processor
from etseg.export._sources.weights import load_weights
from networks import Segmentation, build


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("wrap", [
    lambda state: state,
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
    lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
])  # fmt: skip
def test_weights_as_training_scripts_save_them(tmp_path: Path, wrap: Any) -> None:
    torch.save(wrap(build().state_dict()), tmp_path / "w.pt")
    network = Segmentation().eval()
    load_weights(network, tmp_path / "w.pt")
    assert same(network, build())


def test_weights_of_another_network(tmp_path: Path) -> None:
    state = build().state_dict()
    state["extra.weight"] = torch.zeros(1)
    del state["backbone.0.weight"]
    state["backbone.5.weight"] = torch.zeros(4, 8, 1, 1)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(etseg.InvalidModelSourceError) as caught:
        load_weights(Segmentation(), tmp_path / "w.pt")
    for words in ("misses backbone.0.weight", "extra.weight", "backbone.5.weight (4, 8, 1, 1)"):
        assert words in str(caught.value)


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path("harm-was-done").touch, ()


def test_a_file_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": _Harmful()}, "w.pt")
    with pytest.raises(etseg.InvalidModelSourceError, match="no weights that torch reads safely"):
        load_weights(Segmentation(), "w.pt")
    assert not Path("harm-was-done").exists()


def test_a_function_in_a_file_and_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from networks import build as made\n")
    # Called torch.py, which must not become torch.
    (tmp_path / "torch.py").write_text(
        "from beside import made\n\n\ndef build():\n    return made()\n"
    )
    found = open_network(f"{tmp_path / 'torch.py'}:build", None, None)
    assert same(found.module, build())
    assert found.title == "torch"
    assert found.size is None
    assert same(open_network("networks:build", None, None).module, build())


def test_an_exported_program_and_its_file(tmp_path: Path) -> None:
    program = torch.export.export(build(), (torch.rand(1, 3, 48, 64),), strict=False)
    torch.export.save(program, tmp_path / "net.pt2")
    for network in (program, tmp_path / "net.pt2"):
        found = open_network(network, None, None)
        assert found.size == (48, 64)
        image = torch.rand(1, 3, 48, 64)
        module = found.module.eval()  # as the export does with every network
        torch.testing.assert_close(module(image)["out"], build()(image)["out"])
    with pytest.raises(etseg.InvalidModelSourceError, match="has its own"):
        open_network(program, "w.pt", None)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (5, "the network is 5"),
        ("resnet50", "expected a torch.nn.Module"),
        ("nowhere.at_all:build", "no Python module"),
        ("networks:nothing", "no 'nothing'"),
        ("networks:CLASSES", "a function that returns"),
        ("pathlib:Path", "expected a torch.nn.Module"),
        ("smp:Unet", "expected ARCHITECTURE/ENCODER|not installed"),
        ("torchvision:resnet50", "no segmentation network|not installed|does not load"),
    ],
)
def test_what_is_no_network(network: object, said: str) -> None:
    with pytest.raises(etseg.InvalidModelSourceError, match=said):
        open_network(network, None, None)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for network in (f"{tmp_path / 'net.py'}:build", str(tmp_path / "net.pt2")):
        with pytest.raises(etseg.FileReadError, match="no file"):
            open_network(network, None, None)
    with pytest.raises(etseg.FileReadError, match="cannot read the weights"):
        load_weights(Segmentation(), tmp_path / "w.pt")


def processor(**fields: Any) -> Any:
    usual = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "resample": 2,
             "image_mean": [0.5, 0.4, 0.3], "image_std": 0.5}  # fmt: skip
    return SimpleNamespace(**usual | fields)


@pytest.mark.parametrize(
    ("fields", "of_255"),
    [
        ({}, [(255 / 255 - m) / 0.5 for m in (0.5, 0.4, 0.3)]),
        ({"rescale_factor": 1 / 127.5}, [(2 - m) / 0.5 for m in (0.5, 0.4, 0.3)]),
        ({"do_rescale": False}, [(255 - m) / 0.5 for m in (0.5, 0.4, 0.3)]),
        ({"do_normalize": False}, [1, 1, 1]),
    ],
)
def test_a_processor_in_our_units(fields: dict[str, Any], of_255: list[float]) -> None:
    """A white pixel reaches the network as the processor makes it."""
    found, notes = read_processor(processor(**fields))
    white = [(1 - m) / s for m, s in zip(found["mean"], found["std"], strict=True)]
    assert white == pytest.approx(of_255)
    assert notes == ()


def test_what_a_processor_does_otherwise_is_said() -> None:
    _, notes = read_processor(processor(do_center_crop=True, do_reduce_labels=True, resample=0))
    assert len(notes) == 3


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"size": {"height": 512, "width": 640}}, (512, 640)),
        ({"size": {"shortest_edge": 288}}, (288, 288)),
        ({"size": 224}, (224, 224)),
        ({"size": 288, "do_center_crop": True, "crop_size": {"height": 256, "width": 256}},
         (256, 256)),
        ({}, None),
    ],
)  # fmt: skip
def test_the_size_a_processor_brings_images_to(
    fields: dict[str, Any], size: tuple[int, int] | None
) -> None:
    assert processed_size(SimpleNamespace(**fields)) == size


@pytest.mark.parametrize(
    ("package", "network"),
    [("torchvision", "torchvision:fcn_resnet50"),
     ("segmentation_models_pytorch", "smp:Unet/resnet18"), ("onnx2torch", Path("net.onnx"))],
)  # fmt: skip
def test_a_torchvision_of_another_torch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, network: str | Path
) -> None:
    """Whoever imports it: the error is that of its compiled part."""
    if package == "onnx2torch":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    text = "raise RuntimeError('operator torchvision::nms does not exist')\n"
    (tmp_path / f"{package}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package, raising=False)
    said = rf"{package} does not load beside torch .*nms does not exist.*release of torchvision"
    with pytest.raises(etseg.InvalidModelSourceError, match=said):
        open_network(network, None, 3)
