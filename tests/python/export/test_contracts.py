"""Networks that take bytes or the channels of a pixel together, or return labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
from torch import nn

import etseg
from etseg.export import ExportError, ExportReport, export

SIZE = (24, 40)
LABELS = ["wet", "dark", "far"]


class Plain(nn.Module):
    """Three scores, of images in one of the formats."""

    def __init__(self, input_format: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.format = input_format
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.format.startswith("uint8"):
            assert image.dtype == torch.uint8
            image = (image.to(torch.float32) / 255 - 0.5) * 4
        if self.format.endswith("nhwc"):
            image = image.permute(0, 3, 1, 2)
        return self.body(image)


class Labels(nn.Module):
    """The label of each pixel."""

    def __init__(self, dtype: torch.dtype, keepdim: bool) -> None:
        super().__init__()
        self.scores = Plain("float32-nchw")
        self.dtype, self.keepdim = dtype, keepdim

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scores(image).argmax(1, keepdim=self.keepdim).to(self.dtype)


def made(network: nn.Module, folder: Path, **options: Any) -> ExportReport:
    return export(network, folder / "net.pte", size=SIZE, **options)


def picture() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize("input_format", ["float32-nhwc", "uint8-nchw", "uint8-nhwc"])
def test_what_networks_take(tmp_path: Path, input_format: Any) -> None:
    network = Plain(input_format).eval()
    report = made(network, tmp_path, input_format=input_format, labels=LABELS)
    assert report.input_format == input_format
    assert input_format in report.table()
    assert report.agreement > 0.999
    assert "mean" not in report.metadata
    image = torch.from_numpy(picture())[None]
    if input_format.startswith("float32"):
        image = image / 255
    if input_format.endswith("nchw"):
        image = image.permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(image)[0].softmax(0).numpy()
    with etseg.ImageSegmentationModule(report.path) as module:
        result = module.forward(picture(), LABELS)
    for index, plane in enumerate(expected):
        np.testing.assert_allclose(result[index], plane, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "keepdim"), [(torch.int64, True), (torch.int32, False), (torch.uint8, True)]
)
def test_labels(tmp_path: Path, dtype: torch.dtype, keepdim: bool) -> None:
    network = Labels(dtype, keepdim).eval()
    report = made(network, tmp_path, labels=LABELS, background="far")
    assert report.channels == 0
    assert "labels, 24x40" in report.table()
    assert report.photos[0].scores_differ is None
    assert report.agreement > 0.999
    with torch.no_grad():
        image = torch.from_numpy(picture()).permute(2, 0, 1)[None] / 255
        expected = network(image).reshape(SIZE).numpy()
    with etseg.ImageSegmentationModule(report.path) as module:
        assert not module.has_probabilities
        assert (module.forward(picture()).argmax == expected).mean() > 0.999


def test_labels_that_nobody_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="returned the label"):
        made(Labels(torch.int64, True), tmp_path, labels=["one"])
    assert not (tmp_path / "net.pte").exists()


def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    network = Plain("float32-nchw").eval()
    report = made(network, tmp_path, labels=[*LABELS, "background"], activation="sigmoid")
    assert report.agreement > 0.999
    with torch.no_grad():
        scores = network(torch.from_numpy(picture()).permute(2, 0, 1)[None] / 255)[0]
    with etseg.ImageSegmentationModule(report.path) as module:
        result = module.forward(picture(), ["dark"])
    np.testing.assert_allclose(result["dark"], scores[1].sigmoid().numpy(), rtol=0, atol=1e-4)
    best, index = scores.max(0)
    expected = torch.where(best >= 0, index, 3).numpy()
    assert (result.argmax == expected).mean() > 0.999
    with pytest.raises(etseg.InvalidConfigError, match="tells 4 apart"):
        made(network, tmp_path, labels=LABELS, activation="sigmoid")


def test_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(etseg.InvalidConfigError, match="takes bytes normalises"):
        made(Plain("uint8-nchw"), tmp_path, input_format="uint8-nchw", mean=(0.5,) * 3)
    with pytest.raises(etseg.InvalidUserInputError, match="input_format is 'rgb'"):
        made(Plain("uint8-nchw"), tmp_path, input_format="rgb")
    with pytest.raises(ExportError, match=r"fails on an image.*uint8.*input_format"):
        made(Plain("float32-nchw"), tmp_path, input_format="uint8-nhwc")
    options: dict[str, Any] = {"quantize": "int8", "calibration": [picture()]}
    with pytest.raises(etseg.InvalidUserInputError, match="float32-nchw"):
        made(Plain("uint8-nchw"), tmp_path, input_format="uint8-nchw", **options)
    with pytest.raises(etseg.InvalidUserInputError, match="returns labels"):
        made(Labels(torch.int64, True), tmp_path, **options)
