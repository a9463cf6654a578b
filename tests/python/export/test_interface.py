"""Programs that take bytes or NHWC, or return labels, of networks that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import torch
from torch import nn

import etseg
from etseg._cli import main
from etseg.export import ExportError, ExportReport, _building, _job, export
from networks import CLASSES, Segmentation, build, seeded

SIZE = (48, 64)
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.3)
LABELS = ["sky", "road", "tree", "house", "cat"]


def made(network: nn.Module, folder: Path, **options: Any) -> ExportReport:
    """Of the whole network, as small ones with random weights are rough."""
    options = {"size": SIZE, "mean": MEAN, "std": STD, "low_stride": False, **options}
    return export(network, folder / "net.pte", **options)


def picture(height: int, width: int) -> np.ndarray[Any, Any]:
    """Smooth colours."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    colours = np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * (x + y))], -1) * 100 + 128
    return colours.astype(np.uint8)


def scores_of(network: nn.Module, image: np.ndarray[Any, Any]) -> torch.Tensor:
    """The slow way, of an image of the network's size: [C, H, W]."""
    normalised = (image / 255.0 - MEAN) / STD
    planes = torch.from_numpy(normalised.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        output = network(planes)
    return (output["out"] if isinstance(output, dict) else output)[0]


@pytest.fixture
def unprofiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process that imports torch anew, to time what is outside the backend."""
    monkeypatch.setattr(_building, "shares_of_time", lambda *_: {})


@pytest.mark.usefixtures("unprofiled")
@pytest.mark.parametrize("takes", ["float32-nhwc", "uint8-nchw", "uint8-nhwc"])
def test_what_the_program_takes(tmp_path: Path, takes: Any) -> None:
    report = made(build(), tmp_path, takes=takes, labels=LABELS)
    assert report.input_format == takes
    assert takes in report.table()
    assert report.agreement > 0.995
    # Bytes are normalised in the program, and so they must not be before it.
    assert ("mean" in report.metadata) == ("std" in report.metadata) == takes.startswith("float32")
    image = picture(*SIZE)
    expected = scores_of(build(), image).softmax(0).numpy()
    with etseg.ImageSegmentationModule(report.path) as module:
        result = module.forward(image, LABELS)
    for index, plane in enumerate(expected):
        np.testing.assert_allclose(result[index], plane, rtol=0, atol=1e-4)


class _Interleaved(nn.Module):
    """A network of pixels, in bytes or floats, whose channels lie together."""

    def __init__(self, as_bytes: bool) -> None:
        super().__init__()
        self.network, self.bytes = build(), as_bytes

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.bytes:
            image = (image.to(torch.float32) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
        scores: torch.Tensor = self.network(image.permute(0, 3, 1, 2))["out"]
        return scores


@pytest.mark.usefixtures("unprofiled")
@pytest.mark.parametrize(
    ("as_bytes", "takes"), [(False, "uint8-nhwc"), (False, "float32-nchw"), (True, "uint8-nchw")]
)
def test_networks_that_take_others(tmp_path: Path, as_bytes: bool, takes: Any) -> None:
    options = {"mean": None, "std": None} if as_bytes else {}
    own: Any = "uint8-nhwc" if as_bytes else "float32-nhwc"
    report = made(_Interleaved(as_bytes), tmp_path, input_format=own, takes=takes, **options)
    assert report.input_format == takes
    image = picture(*SIZE)
    expected = scores_of(build(), image)
    with etseg.ImageSegmentationModule(report.path) as module:
        probability = module.forward(image, [1])[1]
    np.testing.assert_allclose(probability, expected.softmax(0)[1].numpy(), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("unprofiled")
@pytest.mark.parametrize(
    ("channels", "activation", "returns"),
    [(CLASSES, "softmax", "labels-uint8"), (CLASSES, "sigmoid", "labels-int32"),
     (1, "sigmoid", "labels-uint8"), (1, "none", "labels-int32")],
)  # fmt: skip
def test_labels(tmp_path: Path, channels: int, activation: Any, returns: Any) -> None:
    """By the rule of ARGMAX, and as many names as there are labels."""
    network, image = seeded(Segmentation(channels=channels)), picture(*SIZE)
    if activation == "none":  # probabilities, about as many below one half as above
        network.backbone[-1].bias.data += 0.5 - scores_of(network, image).median()
    report = made(network, tmp_path, activation=activation, returns=returns)
    assert (report.channels, report.output_size) == (0, SIZE)
    assert all(one.scores_differ is None for one in report.photos)
    assert report.agreement > 0.999
    assert any("at the photos' size" in note for note in report.notes)
    scores = scores_of(network, image).numpy()
    if channels == 1:
        expected = np.where(scores[0] >= (0 if activation == "sigmoid" else 0.5), 0, 1)
    elif activation == "sigmoid":
        expected = np.where(scores.max(0) >= 0, scores.argmax(0), CLASSES)
    else:
        expected = scores.argmax(0)
    assert len(np.unique(expected)) > 1
    with etseg.ImageSegmentationModule(report.path) as module:
        assert not module.has_probabilities
        assert [label.name for label in module.labels] == [
            *(f"CLASS_{index}" for index in range(expected.max() + 1)), "ARGMAX",
        ][: len(module.labels)]  # fmt: skip
        assert len(module.labels) - 1 == channels + (channels == 1 or activation == "sigmoid")
        assert (module.forward(image).argmax == expected).mean() > 0.999


def test_bytes_in_and_labels_out_by_the_command(tmp_path: Path) -> None:
    script = tmp_path / "mynet.py"
    script.write_text("from networks import build\n")
    path = tmp_path / "net.pte"
    done = CliRunner().invoke(
        main,
        ["export", f"{script}:build", "-o", str(path), "--size", "48x64", "--labels",
         ",".join(LABELS), "--background", "sky", "--mean", "0.5,0.4,0.3", "--std", "0.25,0.5,0.3",
         "--takes", "uint8-nhwc", "--returns", "labels-uint8", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["input_format"], content["channels"], content["cut"]) == ("uint8-nhwc", 0, None)
    assert "argmax" in content["left_time"]
    assert content["metadata"] == {"schema": 1, "labels": LABELS, "background": "sky"}
    image = picture(*SIZE)
    with etseg.ImageSegmentationModule(path) as module:
        found = module.forward(image).argmax
        with pytest.raises(etseg.InvalidUserInputError):
            module.forward(image, ["cat"])
    assert (found == scores_of(build(), image).argmax(0).numpy()).mean() > 0.999


@pytest.mark.usefixtures("unprofiled")
def test_a_program_of_other_labels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared with the network as it came, and not with what was made of it."""

    class Wrong(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.network(image * 0 + 1)

    real = _job.taking

    def taking(module: nn.Module, *rest: Any) -> Any:
        return real(Wrong(module), *rest)

    monkeypatch.setattr(_job, "taking", taking)
    for options in ({"returns": "labels-uint8"}, {"takes": "uint8-nchw"}):
        with pytest.raises(ExportError, match="no file was written"):
            made(build(), tmp_path, **options)
    assert not (tmp_path / "net.pte").exists()


class _Labels(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.argmax(1, keepdim=True)


def test_what_does_not_fit(tmp_path: Path) -> None:
    def refused(said: str, network: nn.Module | None = None, **options: Any) -> None:
        with pytest.raises(etseg.InvalidUserInputError, match=said):
            made(network or build(), tmp_path, **options)

    refused("takes is 'bytes'; expected one of", takes="bytes")
    refused("returns is 'labels'; expected one of", returns="labels")
    refused("no scores that etseg could upsample", returns="labels-uint8", low_stride=True)
    refused("network takes bytes", _Interleaved(True), input_format="uint8-nhwc",
            takes="float32-nhwc", mean=None, std=None)  # fmt: skip
    refused("returns labels itself", _Labels(), returns="labels-uint8", mean=None, std=None)
    refused("tells 257 labels apart", seeded(Segmentation(channels=257)), returns="labels-uint8")
    refused("tells 257 labels apart", seeded(Segmentation(channels=256)), returns="labels-uint8",
            activation="sigmoid")  # fmt: skip
    int8: Any = {"quantize": "int8", "calibration": [picture(*SIZE)]}
    refused("take 'float32-nchw', not 'uint8-nhwc'", takes="uint8-nhwc", **int8)
    refused("return scores, not 'labels-int32'", returns="labels-int32", **int8)
    assert not (tmp_path / "net.pte").exists()
