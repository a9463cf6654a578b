"""The engine for many machines, on a real cluster of this one. Needs ray: ``etseg[ray]``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason='needs pip install "etseg[ray]"')
pa = pytest.importorskip("pyarrow")

TOOL = Path(__file__).resolve().parents[2] / "tools" / "batch_chaos.py"
PHOTO = Path(__file__).resolve().parents[2] / "data" / "astronaut.jpg"
#: A cluster starts a dozen processes; on a busy machine that takes its time.
PATIENCE = 900


def run(*arguments: object) -> str:
    """In a process of its own: Ray leaves threads and warnings behind."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]  # with the exception
    return done.stdout


@pytest.mark.parametrize("option", [[], ["--store"]], ids=["folder", "S3"])
def test_workers_and_nodes_that_die_lose_no_row(option: list[str]) -> None:
    if option:
        pytest.importorskip("moto", reason="needs moto[server] and boto3")
    out = run(TOOL, "--photos", 120, "--rows-per-part", 4, *option)
    assert "120 rows, each once; 0 missing, 0 too many, 0 unlike the local engine's" in out
    assert len(re.findall(r"^killed worker \d+|^(?:removed|added) a node", out, re.M)) == 5


def test_map_batches_as_anybody_calls_it(tmp_path: Path) -> None:
    """Two actors on two CPUs, beside Ray's own reading tasks; arrays and Arrow tables."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import shutil, ray
from etseg import SELFIE_SEGMENTATION
from etseg.batch import Segmenter
for number in range(24):
    shutil.copy({str(PHOTO)!r}, {str(tmp_path)!r} + f"/{{number:02}}.jpg")
ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False
for kind in ("pyarrow", "numpy", "pandas"):
    photos = ray.data.read_binary_files({str(tmp_path)!r}, file_extensions=["jpg"])
    rows = photos.map_batches(
        Segmenter,
        fn_constructor_args=[SELFIE_SEGMENTATION],
        fn_constructor_kwargs={{"outputs": ["areas"], "column": "bytes"}},
        batch_size=4, batch_format=kind, num_cpus=0.5,
        compute=ray.data.ActorPoolStrategy(size=2),
    ).drop_columns(["bytes"]).take_all()
    labels = {{row["areas"][0]["label"] for row in rows}}
    print(kind, len(rows), labels, {{str(row["error"]) for row in rows}})
"""
    )
    lines = run(script).splitlines()
    expected = [f"{kind} 24 {{'SELFIE'}} {{'None'}}" for kind in ("pyarrow", "numpy", "pandas")]
    assert [line for line in lines if " 24 " in line] == expected


def test_a_worker_of_ray_keeps_to_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many instances as CPUs were assigned, and never none."""
    from types import SimpleNamespace

    from etseg.batch import _segmenter

    def ray(cpus: float, mode: int) -> Any:
        context = SimpleNamespace(
            worker=SimpleNamespace(mode=mode), get_assigned_resources=lambda: {"CPU": cpus}
        )
        return SimpleNamespace(
            WORKER_MODE=1, is_initialized=lambda: True, get_runtime_context=lambda: context
        )

    for cpus, mode, expected in ((4.0, 1, 4), (0.5, 1, 1), (4.0, 0, None)):
        monkeypatch.setitem(sys.modules, "ray", ray(cpus, mode))
        assert _segmenter._assigned() == expected


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    import etseg
    from etseg import batch
    from etseg.batch import _ray

    with pytest.raises(etseg.InvalidUserInputError, match="workers is 0 and cpus_per_worker 1"):
        list(_ray.parts_done([], None, None, 0, 1))  # type: ignore[arg-type]
    with pytest.raises(etseg.InvalidUserInputError, match="engine is 'spark'"):
        batch.run(PHOTO, tmp_path, etseg.SELFIE_SEGMENTATION, engine="spark")  # type: ignore[arg-type]
