"""What is kept of a download, and when it is believed."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import etseg
from children import PATIENCE
from downloading import damage, files
from etseg import DownloadError, ErrorCode, ImageSegmentationModule, resources
from etseg._download.cache import Entry, entries
from etseg._download.disk import replace_bytes, sha256_of
from etseg._download.records import parse_record
from http_server import Fault, Server

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def url(server: Server, program: bytes) -> str:
    """A model that has been downloaded once."""
    url = server.add("/model.pte", program)
    load(url)
    return url


def load(url: str, sha256: str | None = None) -> None:
    with ImageSegmentationModule() as module:
        module.load({"model_source": url, "sha256": sha256})
        module.warmup()


def test_the_first_download_is_recorded(
    server: Server, program: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etseg")
    url = server.add("/model.pte", program)
    path = resources.fetch(url)
    record = json.loads(path.with_name("record.json").read_text(encoding="utf-8"))
    assert record["url"] == url
    assert record["size"] == len(program)
    assert record["sha256"] == etseg.SELFIE_SEGMENTATION.sha256
    assert f"trusted from now on: {record['sha256']}" in caplog.text


def test_nothing_is_trusted_where_the_sha256_is_known(
    server: Server, program: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etseg")
    load(server.add("/model.pte", program), sha256=etseg.SELFIE_SEGMENTATION.sha256)
    assert "is trusted from now on" not in caplog.text


def test_a_damaged_copy_is_replaced(
    server: Server, url: str, program: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = resources.fetch(url)
    damage(path)
    load(url)
    assert "it is not used" in caplog.text
    assert path.read_bytes() == program
    assert len(server.requests) == 2


def test_a_damaged_copy_is_not_used_offline(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = resources.fetch(url)
    damage(path)
    monkeypatch.setenv("ETSEG_OFFLINE", "1")
    with pytest.raises(DownloadError, match="ETSEG_OFFLINE is set"):
        load(url)


@pytest.mark.parametrize("sha256", [None, etseg.SELFIE_SEGMENTATION.sha256])
def test_a_copy_damaged_in_secret_is_found(
    server: Server, url: str, program: bytes, sha256: str | None
) -> None:
    path = resources.fetch(url)
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    load(url, sha256=sha256)
    assert path.read_bytes() == program
    assert len(server.requests) == 2


def test_the_server_may_not_replace_what_was_recorded(
    server: Server, url: str, program: bytes
) -> None:
    path = resources.fetch(url)
    damage(path)
    other = bytearray(program)
    other[-1] ^= 1
    server.files["/model.pte"].body = bytes(other)
    with pytest.raises(etseg.InvalidModelError, match=r"etseg cache clear"):
        load(url)
    resources.delete_resources(url)
    assert resources.fetch(url).read_bytes() == bytes(other)


def test_a_copy_that_was_only_touched_stays(server: Server, url: str) -> None:
    path = resources.fetch(url)
    os.utime(path, ns=(1, 1))
    load(url)
    assert len(server.requests) == 1
    assert json.loads(path.with_name("record.json").read_text())["mtime_ns"] == 1


@pytest.mark.parametrize("record", [None, "", "{}", "[1]", '{"url": 1, "size": 2}', "[" * 9999])
def test_without_its_record_a_copy_is_not_believed(
    url: str, record: str | None, program: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = resources.fetch(url)
    path = model.with_name("record.json")
    damage(model)
    if record is None:
        path.unlink()
    else:
        path.write_text(record)
    assert resources.list_downloaded_models() == []
    with monkeypatch.context() as patch:
        patch.setenv("ETSEG_OFFLINE", "1")
        with pytest.raises(DownloadError, match="ETSEG_OFFLINE is set"):
            load(url)
    load(url)
    assert model.read_bytes() == program
    assert [model.url for model in resources.list_downloaded_models()] == [url]


def test_any_byte_of_a_record_counts(url: str) -> None:
    """A record that was damaged is none, wherever it was."""
    content = resources.fetch(url).with_name("record.json").read_bytes()
    assert parse_record(content) is not None
    for at in range(len(content)):
        for flip in (1, 2, 16):
            changed = bytearray(content)
            changed[at] ^= flip
            read = parse_record(bytes(changed))
            # White space between the fields may be another.
            assert read in (None, parse_record(content))


def test_a_copy_is_hashed_until_its_date_lies_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks of file systems are coarse: within a tick a file may change and keep its date."""
    path = resources.fetch(url)
    found = path.stat()
    record = parse_record(path.with_name("record.json").read_bytes())
    assert record is not None
    looked_at = record.checked(found)
    written_ns = max(found.st_mtime_ns, found.st_ctime_ns)
    soon = replace(looked_at, checked_ns=written_ns + 1_000_000_000)
    late = replace(looked_at, checked_ns=written_ns + 3_000_000_000)
    assert not soon.vouches_for(found)
    assert late.vouches_for(found)
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return sha256_of(path)

    monkeypatch.setattr("etseg._download.cache.sha256_of", counting)
    for record, times in ((soon, 1), (late, 1)):
        path.with_name("record.json").write_bytes(record.to_bytes())
        assert resources.fetch(url) == path
        assert len(hashed) == times


def test_one_folder_for_each_url() -> None:
    urls = [
        "http://a.invalid/model.pte",
        "http://b.invalid/model.pte",
        "http://a.invalid/Model.pte",
        "http://a.invalid/model.pte?version=2",
    ]
    folders = {str(Entry.of(url).folder).lower() for url in urls}
    assert len(folders) == len(urls)
    assert Entry.of(urls[0] + "#part") == Entry.of(urls[0])
    assert Entry.of(urls[0]).model.name == "model.pte"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("ETSEG_CACHE", "relative")
    assert resources.cache_directory() == tmp_path / "relative"
    monkeypatch.setenv("ETSEG_CACHE", "~/mine")
    assert resources.cache_directory() == tmp_path / "mine"
    for unset in (lambda: monkeypatch.setenv("ETSEG_CACHE", ""), monkeypatch.undo):
        unset()  # type: ignore[no-untyped-call]
        assert resources.cache_directory().is_absolute()
        assert resources.cache_directory().name == "etseg"


def test_lists_what_is_whole(server: Server, url: str, program: bytes) -> None:
    broken = server.add("/broken.pte", program, always=Fault(cut=0.5, status=None))
    server.files["/broken.pte"].ranges = False
    with pytest.raises(DownloadError):
        load(broken)
    (model,) = resources.list_downloaded_models()
    assert model.url == url
    assert model.path == resources.fetch(url)
    assert (model.size, model.sha256) == (len(program), etseg.SELFIE_SEGMENTATION.sha256)


def test_deletes(server: Server, cache: Path, url: str, program: bytes) -> None:
    module = ImageSegmentationModule()
    module.load(url)
    assert resources.delete_resources() == 0
    assert resources.delete_resources(etseg.SELFIE_SEGMENTATION, __file__) == 0
    assert resources.delete_resources(url, url) >= len(program)
    assert resources.list_downloaded_models() == []
    assert files(cache) == []
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".lock"]
    module.warmup()  # what is loaded stays
    module.delete()
    load(url)
    assert len(server.requests) == 2


def test_deletes_what_killed_processes_left(cache: Path, url: str) -> None:
    folder = resources.fetch(url).parent
    for name in ("record.json.0a1b2c3d.new", ".etseg.0a1b2c3d.new"):
        (folder / name).write_bytes(b"part of")
    (folder / "mine.new").touch()
    resources.delete_resources(url)
    assert files(cache) == ["mine.new"]


def test_a_small_file_that_two_processes_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One comes while the other is at it: each writes all of it, and neither fails."""
    path, replaced = tmp_path / "record.json", Path.replace

    def late(beside: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replaced)
        replace_bytes(path, b"the other's", 0o600)
        assert path.read_bytes() == b"the other's"
        return replaced(beside, target)

    monkeypatch.setattr(Path, "replace", late)
    replace_bytes(path, b"ours", 0o600)
    assert path.read_bytes() == b"ours"
    assert files(tmp_path) == ["record.json"]


def test_deletes_what_is_listed(server: Server, url: str, program: bytes) -> None:
    """Also what has a URL that nobody is told."""
    server.add("/model.pte?sig=1", program)
    resources.fetch(url + "?sig=1")
    models = resources.list_downloaded_models()
    assert {model.url for model in models} == {url, url + "?..."}
    assert resources.delete_resources(*models) > 2 * len(program)
    assert resources.list_downloaded_models() == []


def test_deletes_what_was_interrupted(server: Server, cache: Path, program: bytes) -> None:
    url = server.add("/model.pte", program, always=Fault(cut=0.0), faults=[Fault(cut=0.5)])
    with pytest.raises(DownloadError):
        load(url)
    assert resources.delete_resources(url) > 0
    assert not list(cache.rglob("partial*"))


def test_does_not_delete_what_is_being_downloaded(
    server: Server, cache: Path, program: bytes
) -> None:
    hold, begun = threading.Event(), threading.Event()
    url = server.add("/model.pte", program, faults=[Fault(cut=0.5, hold=hold)])
    thread = threading.Thread(target=resources.fetch, args=(url, lambda _: begun.set()))
    thread.start()
    assert begun.wait(PATIENCE)
    with pytest.raises(DownloadError, match="is being downloaded") as caught:
        resources.delete_resources(url)
    assert caught.value.code == ErrorCode.RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS
    hold.set()
    thread.join(PATIENCE)
    assert [path.read_bytes() for path in cache.rglob("*.pte")] == [program]


# A cache directory that other things are kept in.


@pytest.fixture
def crowded(cache: Path, tmp_path: Path, url: str) -> dict[Path, bytes]:
    """Files in and around the cache directory that are somebody else's, with their content."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ours = resources.fetch(url).parent
    (cache / "models" / "link").symlink_to(elsewhere, target_is_directory=True)
    (cache / "models" / "linked-0123456789ab").symlink_to(ours, target_is_directory=True)
    paths = [
        cache / "models" / "resnet" / "weights.bin",
        cache / "models" / "resnet" / "record.json",
        cache / "models" / "resnet-0123456789ab" / "resnet.pte",
        cache / "models" / "notes.txt",
        cache / "notes.txt",
        elsewhere / ".etseg.txt",
        elsewhere / "record.json",
    ]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode())
    return {path: path.name.encode() for path in paths}


def test_only_what_etseg_made_is_listed_and_deleted(
    crowded: dict[Path, bytes], cache: Path, url: str, program: bytes
) -> None:
    assert [model.url for model in resources.list_downloaded_models()] == [url]
    freed = sum(entry.delete() for entry in entries())
    assert len(program) < freed < len(program) + 2000
    assert {path: path.read_bytes() for path in crowded} == crowded
    assert entries() == []
    assert list(cache.rglob("model*.pte")) == []


def test_what_somebody_put_beside_a_model_stays(url: str) -> None:
    folder = resources.fetch(url).parent
    (folder / "why.txt").write_text("ours is the better one")
    (folder / "folder").mkdir()
    (folder / "partial").symlink_to(folder / "why.txt")
    resources.delete_resources(url)
    assert sorted(path.name for path in folder.iterdir()) == ["folder", "partial", "why.txt"]
    assert resources.delete_resources(url) == 0
    load(url)
    assert (folder / "why.txt").read_text() == "ours is the better one"


@pytest.mark.parametrize("linked", ["models", "entry", "lock"])
def test_a_link_is_not_followed(
    server: Server, cache: Path, tmp_path: Path, program: bytes, linked: str
) -> None:
    url = server.add("/model.pte", program)
    entry = Entry.of(url).folder
    target = tmp_path / "target"
    path = {"models": cache / "models", "entry": entry, "lock": entry.with_suffix(".lock")}[linked]
    path.parent.mkdir(parents=True)
    if linked == "lock":
        target.write_text("somebody's")
    else:
        target.mkdir()
    path.symlink_to(target)
    with pytest.raises(etseg.FileWriteError, match="is a link, and the cache follows none"):
        load(url)
    assert entries() == []
    if linked == "lock":
        assert target.read_text() == "somebody's"
    else:
        assert list(target.iterdir()) == []
