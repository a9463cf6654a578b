"""int8: calibrated on photos, in float where that is needed, refused where that is not enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
from torch import nn

import etseg
from etseg.export import ExportError, export
from etseg.export._graph.simplify import simplified
from etseg.export._quantization import int8
from etseg.export._quantization.int8 import kept_back
from etseg.export._quantization.quantizer import converted, layers_of, prepared, watch
from etseg.export._quantization.search import Choice, choose
from etseg.export._quantization.simulation import Simulation
from etseg.export._verification.photos import Photo
from networks import seeded

SIZE = (48, 64)


class Small(nn.Sequential):
    """Wide enough that a quarter of the weights' size shows; a ReLU6 behind each convolution.

    `spread`: the middle layer's channels reach from 1 to so much. One scale for all of them leaves
    the small ones without a digit in int8, until that layer's value is float.
    """

    def __init__(self, spread: float = 1.0) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6(),
            nn.Conv2d(32, 32, 3, 1, 1), Spread(spread), Spread(1 / spread),
            nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU6(),
            nn.Conv2d(32, 4, 1),
        )  # fmt: skip


class Spread(nn.Module):
    """Channels times 1 to `most`."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.register_buffer("gain", torch.logspace(0, np.log10(most), 32)[None, :, None, None])

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value * self.gain


def small(spread: float = 1.0) -> nn.Module:
    gains = {name: value.clone() for name, value in Small(spread).named_buffers()}
    network = seeded(Small(spread))
    for name, value in network.named_buffers():
        value.copy_(gains[name])
    return network


def photo(seed: int) -> np.ndarray:
    """Blots of colour."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return colours.repeat(10, 0).repeat(10, 1)


PHOTOS = [photo(seed) for seed in range(5)]


def test_it_is_small_and_agrees(tmp_path: Path) -> None:
    network = small()
    report = export(network, tmp_path / "a.pte", size=SIZE, quantize="int8", calibration=PHOTOS,
                    least_agreement=0.9)  # fmt: skip
    whole = export(network, tmp_path / "b.pte", size=SIZE, photos=PHOTOS)
    assert report.quantized
    assert report.agreement >= 0.9
    assert report.file_bytes < 0.6 * whole.file_bytes
    assert report.float_forward_ms is not None
    assert [one.photo for one in report.photos] == ["image 4", "random noise"], "the one kept back"
    assert "in int8" not in report.table()
    assert "kept in float" in report.table()
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        assert module.forward(PHOTOS[0], resize=True).argmax.shape == (60, 80)


def test_layers_that_lose_most_stay_in_float(tmp_path: Path) -> None:
    report = export(small(1e6), tmp_path / "a.pte", size=SIZE, quantize="int8",
                    calibration=PHOTOS, least_agreement=0.97)  # fmt: skip
    count, share = report.tried[0]
    assert count == 0
    assert share < 0.97, "in int8 throughout it is not good enough"
    assert 0 < len(report.float_layers) < report.layers
    assert report.agreement >= 0.97


def test_a_refusal_shows_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a program that does not do what its simulation did."""
    monkeypatch.setattr(int8, "choose", lambda *_: Choice((), 0.99, ((0, 0.99),)))
    with pytest.raises(ExportError, match=r"97\.00% were asked for") as caught:
        export(small(1e6), tmp_path / "a.pte", size=SIZE, quantize="int8", calibration=PHOTOS)
    assert list(tmp_path.iterdir()) == []
    assert "simulated" in str(caught.value)


def test_the_simulation_is_what_the_conversion_computes() -> None:
    graph = simplified(small(), SIZE, cut=True).graph
    layers = layers_of(graph)
    images = [torch.rand(1, 3, *SIZE) for _ in range(2)]
    everything = prepared(graph, frozenset())
    watch(everything, images)
    for in_float in ({layers[1].name}, {layer.name for layer in layers}):
        observed = prepared(graph, frozenset(in_float))
        watch(observed, images)
        in_int8 = frozenset(layer.name for layer in layers) - in_float
        expected = Simulation(everything, layers)(images[0], in_int8)
        with torch.no_grad():
            got = converted(observed)(images[0])
        # A value on the edge between two levels may go either way.
        assert (got - expected).abs().mean() < 0.01 * expected.abs().mean()
        if len(in_float) == len(layers):
            torch.testing.assert_close(expected, graph(images[0]))


def test_a_clamp_is_one_layer_with_its_convolution() -> None:
    layers = layers_of(simplified(small(), SIZE, cut=True).graph)
    outputs = {layer.name: layer.output for layer in layers}
    assert outputs["conv2d"] == "hardtanh"
    assert outputs["conv2d_2"] == "hardtanh_1"
    assert not any(name.startswith("hardtanh") for name in outputs)


def test_as_few_layers_as_needed() -> None:
    """Of a simulation that needs the layers b and d in float."""

    class Fake:
        def __call__(self, image: torch.Tensor, in_int8: frozenset[str]) -> torch.Tensor:
            return image + sum({"b": 5.0, "d": 3.0}.get(name, 0.01) for name in in_int8)

    layers = [type("Layer", (), {"name": name})() for name in "abcdefgh"]
    images = [torch.zeros(1, 1, 1, 1)]
    found = choose(
        Fake(), layers, images, lambda scores: 1 - float(scores[0]) / 10, 0.95, "none"  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.in_float == ("b", "d")
    assert dict(found.tried)[0] < dict(found.tried)[1] < 0.95 < found.agreement


def test_photos_of_one_name_are_several() -> None:
    """As those of two folders are called."""
    photos = [Photo("1.jpg", np.full((4, 4, 3), level, np.uint8)) for level in range(8)]
    calibration, back = kept_back(photos)
    assert [int(one.pixels.max()) for one in back] == [3, 7]
    assert len(calibration) == 6


def test_photos_are_kept_back() -> None:
    photos = [Photo(str(index), np.zeros((1, 1, 3), np.uint8)) for index in range(9)]
    calibration, back = kept_back(photos)
    assert [one.name for one in back] == ["3", "7"]
    assert len(calibration) == 7
    assert [one.name for one in kept_back(photos[:2])[1]] == ["1"]
    with pytest.raises(etseg.InvalidUserInputError, match="1 photo"):
        kept_back(photos[:1])


def test_it_needs_photos(tmp_path: Path) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match="needs calibration"):
        export(small(), tmp_path / "a.pte", size=SIZE, quantize="int8")
    with pytest.raises(etseg.InvalidUserInputError, match="calibration photos are for"):
        export(small(), tmp_path / "a.pte", size=SIZE, calibration=PHOTOS)
