"""Files that are not mapped, places where there can be none: plain loads, and a log line."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pytest

import etseg
from etseg._weights import loading, making, places, programs
from etseg._weights.entries import Entry, entries
from packed import SHARING, mapped, maps_of, module_of, only_entry, plain, same
from programs import program

PATH = program("logits_c21")
SELFIE = Path(etseg.__file__).parent / "_bundled" / "selfie_segmentation_xnnpack_fp32.pte"

pytestmark = SHARING


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about it, at the level of warnings."""
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def _write(path: Path, at: int, data: bytes) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    path.chmod(0o400)


DAMAGES: dict[str, tuple[Callable[[Entry], object], str]] = {
    "footer": (lambda e: _write(e.packed, (e.size() or 0) - 32, b"\xff"), "its checksum is wrong"),
    "index": (lambda e: _write(e.packed, (e.size() or 0) - 90, b"\xff"), "its checksum is wrong"),
    "weights": (lambda e: _write(e.packed, 9, b"\x7f"), "its checksum is wrong"),
    "truncated": (lambda e: os.truncate(e.packed, 200), "of another size"),
    "longer": (lambda e: _write(e.packed, e.size() or 0, b"\0"), "of another size"),
    "others may write": (lambda e: e.packed.chmod(0o466), "others may write it"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_as_it_was_written(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, why = DAMAGES[damage]
    expected = plain(PATH)
    module_of(PATH).delete()
    spoil(only_entry())
    with module_of(PATH) as module:
        assert same(maps_of(module), expected)
        assert len(mapped()) == 1  # a new one
    assert [why in line for line in told(caplog)] == [True]
    caplog.clear()
    module_of(PATH).delete()
    assert told(caplog) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_file_of_another_user(caplog: pytest.LogCaptureFixture) -> None:
    module_of(PATH).delete()
    os.chown(only_entry().packed, 12345, -1)
    with module_of(PATH):
        assert only_entry().packed.stat().st_uid == os.geteuid()
    assert "belongs to another user" in told(caplog)[0]


def test_a_link_in_place_of_the_file(tmp_path: Path) -> None:
    module_of(PATH).delete()
    entry = only_entry()
    entry.packed.rename(tmp_path / "elsewhere")
    entry.packed.symlink_to(tmp_path / "elsewhere")
    with module_of(PATH) as module:
        assert same(maps_of(module), plain(PATH))
        assert mapped() == set()
    assert entry.packed.is_symlink()


@pytest.mark.parametrize("with_record", [False, True])
def test_files_that_have_changed_places(with_record: bool) -> None:
    other = program("logits_c3")
    for path in (PATH, other):
        module_of(path).delete()
    mine, its = entries()
    pairs = [(mine.packed, its.packed)]
    if with_record:
        pairs.append((mine.record, its.record))
    for left, right in pairs:
        content = left.with_suffix(".aside")
        left.rename(content)
        right.rename(left)
        content.rename(right)
    for path in (PATH, other):
        with module_of(path) as module:
            assert same(maps_of(module), plain(path))
            assert len(mapped()) == 1


def test_a_restored_backup_is_compared_and_used(caplog: pytest.LogCaptureFixture) -> None:
    module_of(PATH).delete()
    entry = only_entry()
    copy = entry.packed.with_suffix(".copy")
    shutil.copy2(entry.packed, copy)
    copy.rename(entry.packed)
    inode = entry.packed.stat().st_ino
    with module_of(PATH):
        assert entry.packed.stat().st_ino == inode
        assert len(mapped()) == 1
    assert told(caplog) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\x00", b'{"check": 1}', b"[" * 9999])
def test_a_damaged_record(content: bytes) -> None:
    module_of(PATH).delete()
    only_entry().record.write_bytes(content)
    with module_of(PATH) as module:
        assert same(maps_of(module), plain(PATH))
        assert len(mapped()) == 1


def test_a_directory_that_cannot_be_made(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.write_text("a file where the directory would be")
    for _ in range(3):
        with module_of(PATH) as module:
            assert same(maps_of(module), plain(PATH))
    (line,) = told(caplog)
    assert "packed weights are not shared" in line
    assert "cannot be written" in line


def test_a_full_disk(caplog: pytest.LogCaptureFixture) -> None:
    """Stood in for by a limit on the size of files, which fails at the same call."""
    module_of(program("logits_c3")).delete()  # the folder is there
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with module_of(SELFIE) as module:
            assert same(maps_of(module), plain(SELFIE))
            assert mapped() == set()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(told(caplog)) == 1
    assert len(entries()) == 1  # nothing is left behind
    with module_of(SELFIE):
        assert len(mapped()) == 1


def test_a_network_file_system(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(places, "file_system", lambda _: "nfs4")
    with module_of(PATH) as module:
        assert same(maps_of(module), plain(PATH))
    assert "is on a network file system (nfs4)" in told(caplog)[0]


def test_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    expected = plain(PATH)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", refused)
    with module_of(PATH) as module:
        assert same(maps_of(module), expected)
        assert mapped() == set()
    assert "can't start new thread" in told(caplog)[0]
    assert entries() == []


def test_another_process_that_never_comes_to_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module_of(PATH).delete()
    entry = only_entry()
    entry.delete()
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.05)
    with filelock.FileLock(entry.lock), module_of(PATH) as module:
        assert same(maps_of(module), plain(PATH))
        assert mapped() == set()
    assert "another process has been making" in told(caplog)[0]
    with module_of(PATH):  # its end leaves no lock
        assert len(mapped()) == 1


def test_who_waits_maps_what_the_other_has_made(monkeypatch: pytest.MonkeyPatch) -> None:
    module_of(PATH).delete()
    entry = only_entry()
    entry.delete()
    writing, waiting, written = threading.Event(), threading.Event(), 0
    write = making.write

    def slow(*arguments: object) -> bool:
        nonlocal written
        written += 1
        writing.set()
        assert waiting.wait(60)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "write", slow)
    first = threading.Thread(target=lambda: module_of(PATH).delete())
    first.start()
    assert writing.wait(60)
    acquire = filelock.FileLock.acquire

    def told_to_wait(self: filelock.FileLock, *arguments: object, **options: object) -> object:
        waiting.set()
        return acquire(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(filelock.FileLock, "acquire", told_to_wait)
    with module_of(PATH) as module:
        assert same(maps_of(module), plain(PATH))
        assert len(mapped()) == 1
    first.join()
    assert written == 1


def test_a_program_that_is_replaced_while_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of the one are never given to the other."""
    path = tmp_path / "model.pte"
    path.write_bytes(program("logits_c3").read_bytes())
    module_of(path).delete()
    remembered = programs.remembered

    def replaced(*arguments: Path) -> object:
        found = remembered(*arguments)
        new = tmp_path / "new"
        new.write_bytes(PATH.read_bytes())
        new.rename(path)
        return found

    monkeypatch.setattr(programs, "remembered", replaced)
    with module_of(path) as module:
        assert same(maps_of(module), plain(PATH))


def test_a_failed_load_leaves_no_lock(tmp_path: Path) -> None:
    broken = tmp_path / "model.pte"
    broken.write_bytes(PATH.read_bytes()[:-200])
    for _ in range(2):
        with pytest.raises(etseg.InvalidModelError):
            module_of(broken)
    broken.write_bytes(PATH.read_bytes())
    with module_of(broken):
        assert len(mapped()) == 1


@pytest.mark.parametrize("place", [0, 100, 5000])
def test_what_is_read_back_is_compared(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte of each part is another one: nothing is mapped."""
    write = os.write

    def unsafe(descriptor: int, data: memoryview) -> int:
        content = bytearray(data)
        content[place % len(content)] ^= 1
        return write(descriptor, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", unsafe)
        with module_of(SELFIE) as module:
            assert same(maps_of(module), plain(SELFIE))
            assert mapped() == set()
    assert [entry.size() for entry in entries()] in ([], [None])
    with module_of(SELFIE):
        assert len(mapped()) == 1
