"""Backends besides XNNPACK: OpenVINO, and whichever is faster."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")
pytest.importorskip("executorch", reason="needs the extra 'export'")

import etseg
from etseg.export import ExportError, _fastest, _requirements, export
from etseg.export._building import Building, Built
from etseg.export._verification.compare import Measured
from networks import build

SIZE = (48, 64)
needs_openvino = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("openvino", "nncf")),
    reason="needs the extra 'export-openvino'",
)


@needs_openvino
def test_openvino(tmp_path: Path) -> None:
    """Compared with the network as every export is: the scores differ by a thousandth at most."""
    report = export(build(), tmp_path / "net.pte", size=SIZE, mean=(0.5, 0.4, 0.3), name="five",
                    backend="openvino", low_stride=True, least_agreement=0)  # fmt: skip
    assert (report.backend, report.partitions, report.left) == ("openvino", 1, {})
    assert report.tried_backends == ()
    with etseg.ImageSegmentationModule() as module:
        module.load(report.path)
        assert module.spec.name == "five"
        assert module.spec.mean == pytest.approx((0.5, 0.4, 0.3))


@needs_openvino
def test_auto_keeps_the_faster(tmp_path: Path) -> None:
    report = export(build(), tmp_path / "net.pte", size=SIZE,
                    backend="auto", low_stride=True, least_agreement=0)  # fmt: skip
    assert [one.backend for one in report.tried_backends] == ["xnnpack", "openvino"]
    best = min(report.tried_backends, key=lambda one: one.forward_ms or 0)
    assert (report.backend, report.forward_ms) == (best.backend, best.forward_ms)
    assert report.path.stat().st_size == best.file_bytes
    table = report.table()
    assert f"{best.backend}, kept" in table
    assert len(json.loads(report.as_json())["tried_backends"]) == 2


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(
        _requirements, "find_spec", lambda name: None if name in packages else find_spec(name)
    )


def test_auto_without_openvino_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "openvino", "nncf")
    report = export(build(), tmp_path / "net.pte", size=SIZE,
                    backend="auto", low_stride=True, least_agreement=0)  # fmt: skip
    assert report.backend == "xnnpack"
    assert [one.backend for one in report.tried_backends] == ["xnnpack"]
    (note,) = (note for note in report.notes if "openvino" in note)
    assert "openvino and nncf are not installed" in note
    assert "pip install 'etseg[export-openvino]'" in note


def test_openvino_without_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "nncf")
    with pytest.raises(ModuleNotFoundError, match=r"nncf: pip install 'etseg\[export-openvino\]'"):
        export(build(), tmp_path / "net.pte", size=SIZE, backend="openvino")


@pytest.mark.parametrize("refused", ["xnnpack", "openvino"])
def test_auto_keeps_what_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """However fast the other one would be; and the table has why it was refused."""
    without(monkeypatch)
    monkeypatch.setattr(_fastest, "missing_for_openvino", lambda: ())
    real = _fastest.built

    def built(building: Building, backend: str) -> Built:
        if backend == refused:
            raise ExportError("scores differ\nand a table")
        return real(building, "xnnpack")

    monkeypatch.setattr(_fastest, "built", built)
    report = export(build(), tmp_path / "net.pte", size=SIZE,
                    backend="auto", low_stride=True, least_agreement=0)  # fmt: skip
    assert [(one.backend, one.refused) for one in report.tried_backends][-1] == (
        refused, "scores differ",
    )  # fmt: skip
    assert "scores differ" in report.table()
    monkeypatch.setattr(_fastest, "built", lambda *_: built(None, refused))  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="scores differ"):
        export(build(), tmp_path / "none.pte", size=SIZE, backend="auto", low_stride=True)
    assert not (tmp_path / "none.pte").exists()


@pytest.mark.parametrize("faster", [0, 1])
def test_the_time_alone_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: int
) -> None:
    """Both agree, and the clock is told what to say."""
    monkeypatch.setattr(_fastest, "missing_for_openvino", lambda: ())
    real = _fastest.built
    monkeypatch.setattr(_fastest, "built", lambda building, _backend: real(building, "xnnpack"))
    times = [Measured(1.0, 5.0), Measured(1.0, 5.0)]
    times[faster] = Measured(9.0, 4.0)
    monkeypatch.setattr(_fastest, "measure", lambda *_: tuple(times))
    report = export(build(), tmp_path / "net.pte", size=SIZE,
                    backend="auto", low_stride=True, least_agreement=0)  # fmt: skip
    assert report.forward_ms == 4.0
    assert report.tried_backends[faster].forward_ms == 4.0
