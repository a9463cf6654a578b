"""Packed weights in a file: the same results, mapped once, made once."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import etseg
from etseg import _native
from etseg._weights import checking, key, programs
from etseg._weights.entries import entries
from packed import SHARING, Maps, mapped, maps_of, module_of, only_entry, plain, same
from programs import FOLDER, program

SELFIE = Path(etseg.__file__).parent / "_bundled" / "selfie_segmentation_xnnpack_fp32.pte"
PROGRAMS = sorted(FOLDER.glob("*.pte"))
pytestmark = SHARING

#: Programs of which XNNPACK packs something.
DELEGATED = ("logits_c1", "logits_c21", "quantized_c3", "prelu_c3", "two_delegates_c3")


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_results_are_those_of_memory(path: Path) -> None:
    refused: type[etseg.EtsegError] | None = None
    try:
        expected = plain(path)
    except etseg.EtsegError as error:
        refused = type(error)
    if refused is not None:
        with pytest.raises(refused), module_of(path) as module:
            maps_of(module)
        return
    for count in (1, 2):
        for _ in ("made", "mapped"):
            with module_of(path, concurrency=count) as module:
                for seed in (0, 0):
                    assert same(maps_of(module, seed), expected)


@pytest.mark.parametrize("name", DELEGATED)
def test_what_xnnpack_packs_is_mapped(name: str) -> None:
    for _ in ("made", "mapped"):
        with module_of(program(name)):
            assert mapped() == {str(only_entry().packed)}
        assert mapped() == set()


@pytest.mark.parametrize("count", range(1, 9))
def test_instances(count: int) -> None:
    expected = plain(SELFIE)
    module_of(SELFIE, concurrency=count).delete()
    with module_of(SELFIE, concurrency=count) as module:
        module.warmup()
        assert all(same(maps_of(module), expected) for _ in range(count + 1))
        assert len(mapped()) == 1


@pytest.mark.parametrize(
    "name", ["prelu_of_bias_c3", "prelu_of_bias_inline_c3", "packed_and_read_c3"]
)
def test_a_constant_that_is_packed_and_read_as_it_is(name: str) -> None:
    """The delegate lets it go once it is packed."""
    path = program(name)
    expected = plain(path)
    with module_of(path, "memory") as first, module_of(path) as second, module_of(path) as third:
        for module in (first, second, third):
            assert same(maps_of(module), expected)


def test_parts_are_handed_out_while_others_are_packed() -> None:
    """The same ones, whether somebody waits for them from the start or asks afterwards."""
    early, late = (_native.Packing(os.fsencode(SELFIE), 1) for _ in range(2))
    waited: list[bytes] = []
    waiting = threading.Thread(
        target=lambda: waited.extend(bytes(part) for part in iter(early.next, None))
    )
    waiting.start()
    early.start()
    early.wait()
    waiting.join()
    late.start()
    late.wait()
    assert waited == [bytes(part) for part in iter(late.next, None)]
    assert len(waited) > 2
    assert all(len(part) % 64 == 0 for part in waited)
    assert late.next() is None


def test_packing_that_fails_has_an_end(tmp_path: Path) -> None:
    packing = _native.Packing(os.fsencode(tmp_path / "none.pte"), 1)
    packing.start()
    with pytest.raises(etseg.EtsegError):
        packing.wait()
    assert packing.next() is None


def test_the_file_is_made_once_and_does_not_grow() -> None:
    module_of(SELFIE).delete()
    before = only_entry().packed.stat()
    for _ in range(5):
        module_of(SELFIE).delete()
    after = only_entry().packed.stat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def test_a_copy_of_the_program_shares_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / SELFIE.name
    copy.parent.mkdir()
    shutil.copyfile(SELFIE, copy)
    with module_of(SELFIE), module_of(copy):
        assert len(mapped()) == 1


def test_after_a_restart_of_the_system_nothing_is_packed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was remembered of files is compared anew; nobody packs meanwhile."""
    module_of(SELFIE).delete()
    for module in (checking, programs):
        monkeypatch.setattr(module, "boot", lambda: "another")
    monkeypatch.delattr(_native, "Packing")
    for _ in ("compared", "remembered"):
        with module_of(SELFIE):
            assert len(mapped()) == 1
    records = [*cache.glob("weights/*.json"), *cache.glob("weights/programs/*.json")]
    assert len(records) == 2
    assert all('"boot": "another"' in record.read_text() for record in records)


def test_another_program_under_the_same_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    for name in ("logits_c3", "logits_c21"):
        expected = plain(program(name))
        path.write_bytes(program(name).read_bytes())
        with module_of(path) as module:
            assert same(maps_of(module), expected)
    assert len(entries()) == 2


def test_what_the_content_depends_on_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    module_of(SELFIE).delete()
    info: dict[str, Any] = {**_native.runtime_info()}
    changes: tuple[tuple[object, str, object], ...] = (
        (key, "cpus", lambda: ("another",)),
        (_native, "runtime_info", lambda: {**info, "build": "0"}),
        (_native, "runtime_info", lambda: {**info, "version": "0"}),
        (_native, "__version__", "0"),
    )
    for owner, name, value in changes:
        with monkeypatch.context() as patch:
            known = len(entries())
            patch.setattr(owner, name, value)
            module_of(SELFIE).delete()
            assert len(entries()) == known + 1
            module_of(SELFIE).delete()  # and it settles
            assert len(entries()) == known + 1


def test_the_environment_says_what_the_default_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETSEG_PACKED_WEIGHTS", "file")
    with etseg.ImageSegmentationModule() as module:
        module.load(SELFIE)
        assert mapped()
    with etseg.ImageSegmentationModule(packed_weights="memory") as module:
        module.load(SELFIE)
        assert not mapped()
    monkeypatch.setenv("ETSEG_PACKED_WEIGHTS", "disk")
    with pytest.raises(etseg.InvalidConfigError, match="ETSEG_PACKED_WEIGHTS is 'disk'"):
        etseg.ImageSegmentationModule()
    with pytest.raises(etseg.InvalidConfigError, match="packed_weights is 'shared'"):
        etseg.ImageSegmentationModule(packed_weights="shared")  # type: ignore[arg-type]


def test_warming_up_reaches_every_instance() -> None:
    """Each looks at the file when it runs."""
    with module_of(SELFIE, concurrency=3) as module:
        _spoil(only_entry().packed)
        module.warmup()
        assert mapped() == set()


def _spoil(path: Path) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def _truncate(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 100)


@pytest.mark.parametrize("happens", [Path.unlink, _spoil, _truncate])
def test_a_file_that_is_changed_while_it_is_mapped(
    happens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What is removed stays; what is changed is noticed before it is used."""
    expected: Maps = plain(SELFIE)
    for count in (1, 2):
        with module_of(SELFIE, concurrency=count) as module:
            assert same(maps_of(module), expected)
            happens(only_entry().packed)
            for _ in range(count + 1):
                assert same(maps_of(module), expected)
            if count == 1:  # of several, those that are idle look when they are used
                assert bool(mapped()) == (happens is Path.unlink)
        with module_of(SELFIE, concurrency=count) as module:  # made anew
            assert same(maps_of(module), expected)
        only_entry().delete()
    told = [r for r in caplog.records if "was changed while it was in use" in r.getMessage()]
    assert bool(told) == (happens is not Path.unlink)
