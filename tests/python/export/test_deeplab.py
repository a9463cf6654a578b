"""The published DeepLab with its trained weights, where the photographs that it is for are.

Both lie beside the checkout, and are read out of the program there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

from torch import nn

import networks  # noqa: F401  # the exporters warn while they are imported
from etseg.export import export

CHECKOUT = Path(__file__).resolve().parents[3]
FILE = "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte"


@pytest.fixture
def network(shared: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    monkeypatch.setattr(sys, "path", [str(CHECKOUT / "benchmarks"), *sys.path])
    reader = importlib.import_module("pte_to_torch")
    made: nn.Module = reader.XnnpackProgram(shared / "models" / FILE)
    return made.eval()


def test_left_to_etseg_its_upsampling_costs_no_label(
    network: nn.Module, shared: Path, tmp_path: Path
) -> None:
    """99.5 % of each photograph's pixels, at its size, against the whole network in torch."""
    report = export(network, tmp_path / "deeplab.pte", size=(257, 257), photos=shared / "images")
    assert report.cut is not None, "decided by the photographs"
    assert (report.cut.logits, report.cut.output) == ((17, 17), (257, 257))
    assert report.cut.grid == "align-corners"
    *photos, noise = report.photos
    assert noise.photo == "random noise"
    assert len(photos) == 3
    assert min(photo.agreement for photo in photos) >= 0.995
    assert report.plan_bytes < 1_000_000  # 6.3 MB with the upsampling


def test_in_int8_it_keeps_the_labels_of_a_photo_that_it_has_not_seen(
    network: nn.Module, shared: Path, tmp_path: Path
) -> None:
    """97 % of the cat's pixels, by the finished program: the default, below which it is refused."""
    photos = [shared / "images" / f"{name}.png" for name in ("astronaut", "coffee", "chelsea")]
    report = export(network, tmp_path / "int8.pte", size=(257, 257), low_stride=True,
                    quantize="int8", calibration=photos)  # fmt: skip
    assert [photo.photo for photo in report.photos] == ["chelsea.png", "random noise"]
    assert report.agreement >= 0.97
    assert report.file_bytes < 1_000_000  # 2.8 MB in float32
    assert report.float_forward_ms is not None
