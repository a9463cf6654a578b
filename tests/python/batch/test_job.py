"""etseg.batch.run: every input once, whatever happens."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import etseg
from children import output_of, run
from etseg import batch
from etseg.batch import _local
from etseg.batch._inputs import listed
from etseg.batch._output import Output
from etseg.batch._part import Done, PartWriter
from etseg.batch._places import file_system

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = etseg.SELFIE_SEGMENTATION
GOOD = 11


@pytest.fixture
def photos(tmp_path: Path, photo_path: Path) -> Path:
    """Eleven photos and two files that are none, some of them in a folder further down."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(GOOD):
        shutil.copy(photo_path, folder / ("more" if number % 3 else ".") / f"{number:02}.jpg")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing")
    (folder / "more" / "empty.jpg").write_bytes(b"")
    (folder / "notes.md").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


def rows_of(output: Path) -> list[dict[str, Any]]:
    """As any reader of a data set sees it."""
    rows: list[dict[str, Any]] = pq.read_table(output).sort_by("key").to_pylist()
    return rows


def comparable(output: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "timings"} for row in rows_of(output)]


def test_a_folder_becomes_a_data_set(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[tuple[int, int]] = []
    report = batch.run(
        photos, out, MODEL, rows_per_part=4, on_progress=lambda *done: told.append(done)
    )
    assert (report.inputs, report.done_before, report.written) == (13, 0, 13)
    assert sum(report.errors.values()) == 2
    assert told == [(4, 13), (8, 13), (12, 13), (13, 13)]
    rows = rows_of(out)
    assert [row["key"] for row in rows] == sorted(
        str(path) for path in photos.rglob("*") if path.suffix in {".jpg", ".png"}
        if path.name[0] != "."
    )  # fmt: skip
    bad = {Path(row["key"]).name for row in rows if row["error"]}
    assert bad == {"broken.png", "empty.jpg"}
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == []
    manifest = json.loads((out / "_manifest.json").read_text())
    assert manifest["labels"] == ["SELFIE", "BACKGROUND"]


def test_again_does_nothing_and_new_photos_are_added(
    photos: Path, tmp_path: Path, photo_path: Path
) -> None:
    out = tmp_path / "out"
    batch.run(photos, out, MODEL)
    before = comparable(out)
    again = batch.run(photos, out, MODEL)
    assert (again.done_before, again.written) == (13, 0)
    shutil.copy(photo_path, photos / "new.jpg")
    later = batch.run(photos, out, MODEL)
    assert (later.inputs, later.done_before, later.written) == (14, 13, 1)
    assert [row for row in comparable(out) if not row["key"].endswith("new.jpg")] == before


class Killed(BaseException):
    """As a signal that nothing can catch would end it; what stays on the disk is the same."""


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("moment", ["before a part", "after it is staged", "after it is committed"])
def test_a_job_that_was_killed_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, moment: str
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    calls = iter(range(1000))
    writes, commits = PartWriter.write, Output.commit

    def write(self: PartWriter, part: Any) -> Any:
        number = next(calls)
        if moment == "before a part" and number == at:
            raise Killed
        return writes(self, part)

    def commit(self: Output, staged: str, number: int) -> str:
        if moment == "after it is staged" and number == at:
            raise Killed
        final = commits(self, staged, number)
        if moment == "after it is committed" and number == at:
            raise Killed
        return final

    with monkeypatch.context() as patch:
        patch.setattr(PartWriter, "write", write)
        patch.setattr(Output, "commit", commit)
        with pytest.raises(Killed):
            batch.run(photos, out, MODEL, rows_per_part=2)
    done = at + (moment == "after it is committed")
    if done:
        assert len(rows_of(out)) == 2 * done
    report = batch.run(photos, out, MODEL, rows_per_part=3)
    assert (report.done_before, report.written) == (2 * done, 13 - 2 * done)
    batch.run(photos, whole, MODEL)
    assert comparable(out) == comparable(whole)


def test_the_work_is_ended_before_an_error_leaves_the_job(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by whoever lets go of the traceback: that may be the interpreter at its end."""
    ended: list[bool] = []

    def parts_done(parts: list[Any], writer: PartWriter) -> Iterator[Done]:
        try:
            for part in parts:
                yield writer.write(part)
        finally:
            ended.append(True)

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_local, "parts_done", parts_done)
    with pytest.raises(KeyboardInterrupt) as caught:
        batch.run(photos, tmp_path / "out", MODEL, rows_per_part=4, on_progress=stop)
    assert ended, caught


def test_a_process_that_is_killed_leaves_what_another_goes_on_with(
    photos: Path, tmp_path: Path
) -> None:
    """By a real signal, once the first part is there; the child waits inside its second."""
    out = tmp_path / "out"
    script = """
        import os, sys, signal
        from etseg import SELFIE_SEGMENTATION, batch
        def told(done, total):
            os.kill(os.getpid(), signal.SIGKILL)
        batch.run(sys.argv[1], sys.argv[2], SELFIE_SEGMENTATION, rows_per_part=3, on_progress=told)
    """
    assert run(script, photos, out).returncode == -9
    report = batch.run(photos, out, MODEL)
    assert (report.done_before, report.written) == (3, 10)


def test_a_part_that_was_made_twice_counts_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an engine takes a worker for lost that then comes to its end."""

    def twice(parts: list[Any], writer: PartWriter) -> Iterator[Any]:
        for part in parts:
            yield writer.write(part)
            yield writer.write(part)

    monkeypatch.setattr(_local, "parts_done", twice)
    report = batch.run(photos, tmp_path / "out", MODEL, rows_per_part=5)
    assert report.written == 13
    assert len(rows_of(tmp_path / "out")) == 13


@pytest.mark.parametrize(
    "changed",
    [
        {"outputs": ["areas"]},
        {"classes": ["SELFIE"]},
        {"resize": False},
        {"model": {"model_source": MODEL.model_source, "labels": ["A", "B"]}},
        {"model": etseg.SELFIE_SEGMENTATION_LANDSCAPE},
        {"model": replace(MODEL, logits_grid=etseg.LogitsGrid("align-corners", (257, 257)))},
        {"scaled_decode": False},
    ],
    ids=["outputs", "classes", "resize", "labels", "program", "grid", "decoding"],
)
def test_other_options_do_not_mix(photos: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    out = tmp_path / "out"
    batch.run(photos, out, MODEL)
    assert batch.run(photos, out, MODEL).written == 0
    before = rows_of(out)
    with pytest.raises(etseg.InvalidStateError, match=r"were made otherwise \("):
        batch.run(photos, out, **{"model": MODEL, **changed})
    assert rows_of(out) == before


def test_one_job_at_a_time(photos: Path, tmp_path: Path) -> None:
    out = Output(str(tmp_path / "out"))
    with out.locked(), pytest.raises(etseg.InvalidStateError, match="another job writes to"):
        batch.run(photos, tmp_path / "out", MODEL)


def test_a_lock_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "out" / "_lock").mkdir(parents=True)
    with (
        pytest.raises(etseg.FileWriteError, match="cannot write to"),
        Output(str(tmp_path / "out")).locked(),
    ):
        pass


def test_an_estimate_writes_nothing(photos: Path, tmp_path: Path) -> None:
    found = batch.estimate(photos, tmp_path / "out", MODEL)
    assert (found.inputs, found.done_before, found.sampled) == (13, 0, 13)
    assert found.images_per_second > 0
    assert found.bytes > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["list", "pattern", "paths", "bytes", "mixed"])
def test_inputs(photos: Path, tmp_path: Path, kind: str) -> None:
    files = sorted(str(path) for path in (photos / "more").glob("0*.jpg"))
    given: Any
    if kind == "list":
        given = tmp_path / "photos.txt"
        given.write_text("\n".join([*files, "", files[0]]))  # twice is once
    elif kind == "pattern":
        given = str(photos / "*" / "0*.jpg")
    elif kind == "mixed":
        given = [photos / "more" / "01.jpg", *files]
    else:
        given = tmp_path / "photos.parquet"
        column = files if kind == "paths" else [Path(file).read_bytes() for file in files]
        name = "path" if kind == "paths" else "bytes"
        pq.write_table(pa.table({name: column}), given, row_group_size=2)
    report = batch.run(given, tmp_path / "out", MODEL, outputs=["areas"])
    assert (report.inputs, report.errors) == (len(files), {})
    expected = files if kind != "bytes" else [f"{given}#{n}" for n in range(len(files))]
    assert [row["key"] for row in rows_of(tmp_path / "out")] == sorted(expected)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("nowhere", etseg.FileReadError, "no such file: '.*nowhere'"),
        ("none*.jpg", etseg.FileReadError, "nothing matches 'none"),
        (".", etseg.FileReadError, "there is no image in"),
        ([], etseg.InvalidUserInputError, r"nothing to segment in \[\]"),
        ("odd.parquet", etseg.InvalidUserInputError, "no column 'bytes' or 'path'; it has"),
        ("number.parquet", etseg.InvalidUserInputError, "'path' of .* is int64; expected paths"),
        ("fake.parquet", etseg.FileReadError, "cannot read the table"),
        ("nope://bucket/photos", etseg.InvalidUserInputError, "cannot use 'nope://"),
    ],
)
def test_bad_inputs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: Any,
    error: type[etseg.EtsegError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if str(given).endswith(".parquet"):
        pq.write_table(pa.table({"x": [1]}), "odd.parquet")
        pq.write_table(pa.table({"path": [1]}), "number.parquet")
        Path("fake.parquet").write_bytes(b"PAR1, but not really")
    with pytest.raises(error, match=message):
        batch.run(given, "out", MODEL)


def test_a_folder_of_somebody_else_is_left_alone(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    pq.write_table(pa.table({"x": [1]}), out / "part-000000-theirs.parquet")
    with pytest.raises(etseg.InvalidStateError, match="has parts, but no _manifest"):
        batch.run(photos, out, MODEL)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99}', "[" * 100_000])
def test_a_damaged_manifest(photos: Path, tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "_manifest.json").write_text(content)
    with pytest.raises(etseg.FileReadError, match=r"_manifest\.json"):
        batch.run(photos, out, MODEL)


def test_stores_that_fsspec_knows(photos: Path) -> None:
    pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    memory = MemoryFileSystem()
    for path in sorted(photos.glob("*.jpg")):
        memory.pipe(f"/bucket/{path.name}", path.read_bytes())
    memory.pipe("/bucket/more/notes.md", b"no image")
    report = batch.run("memory://bucket", "memory://out", MODEL, outputs=["areas"])
    assert (report.inputs, report.errors) == (len(list(photos.glob("[!.]*.jpg"))), {})
    system, out = file_system("memory://out")
    table = pq.read_table(f"{out}/part-000000-{_token(system, out)}.parquet", filesystem=system)
    assert len(table) == report.written
    again = batch.run("memory://bucket", "memory://out", MODEL, outputs=["areas"])
    assert again.written == 0


def _token(system: Any, path: str) -> str:
    from pyarrow import fs

    (name,) = (
        entry.base_name
        for entry in system.get_file_info(fs.FileSelector(path))
        if entry.base_name.startswith("part-")
    )
    return str(name[len("part-000000-") : -len(".parquet")])


def test_listing_is_in_a_stable_order(photos: Path) -> None:
    first = listed([photos, photos / "more"])
    assert first["key"].to_pylist() == listed([photos])["key"].to_pylist()


def test_the_core_knows_no_data_engine() -> None:
    """Neither does this folder, until it is used."""
    modules = output_of(
        """
        import sys
        import etseg
        print("etseg.batch" in sys.modules)
        import etseg.batch
        print([m for m in ("pyarrow", "pandas", "ray", "fsspec") if m in sys.modules])
        """
    )
    assert modules.splitlines() == ["False", "[]"]


def test_what_is_absent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(etseg.InvalidStateError, match=r'pip install "etseg\[batch\]"'):
        batch.run(tmp_path, tmp_path / "out", MODEL)


@pytest.mark.parametrize("call", [batch.run, batch.estimate])
def test_options_that_are_none(call: Any, photo_path: Path, tmp_path: Path) -> None:
    """A prefix would give parts other columns than the job reads."""
    with pytest.raises(TypeError, match=f"{call.__name__}.. got an unexpected .* 'prefix'"):
        call(photo_path, tmp_path / "out", MODEL, prefix="a_")
    assert not (tmp_path / "out").exists()
