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

import networks  # noqa: F401  # the exporters warn while they are imported
from etseg.export import export

CHECKOUT = Path(__file__).resolve().parents[3]
FILE = "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte"


def test_left_to_etseg_its_upsampling_costs_no_label(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """99.5 % of each photograph's pixels, at its size, against the whole network in torch."""
    monkeypatch.setattr(sys, "path", [str(CHECKOUT / "benchmarks"), *sys.path])
    reader = importlib.import_module("pte_to_torch")
    network = reader.XnnpackProgram(shared / "models" / FILE).eval()
    report = export(network, tmp_path / "deeplab.pte", size=(257, 257), photos=shared / "images")
    assert report.cut is not None, "decided by the photographs"
    assert (report.cut.logits, report.cut.output) == ((17, 17), (257, 257))
    assert report.cut.grid == "align-corners"
    *photos, noise = report.photos
    assert noise.photo == "random noise"
    assert len(photos) == 3
    assert min(photo.agreement for photo in photos) >= 0.995
    assert report.plan_bytes < 1_000_000  # 6.3 MB with the upsampling
