"""The files that there are: listed, removed, and made room for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import etseg
from etseg import resources
from etseg._cli import main
from etseg._weights import places
from etseg._weights.entries import entries
from packed import SHARING, mapped, maps_of, module_of, only_entry, plain, same
from programs import program

pytestmark = SHARING

PATHS = [program(name) for name in ("logits_c2", "logits_c3", "logits_c21")]


def test_listing_and_removing() -> None:
    assert resources.list_packed_weights() == []
    assert resources.delete_packed_weights() == 0
    for path in PATHS:
        module_of(path).delete()
    found = resources.list_packed_weights()
    assert len(found) == 3
    assert [one.path.stat().st_size for one in found] == [one.size for one in found]
    assert resources.delete_packed_weights() >= sum(one.size for one in found)
    assert resources.list_packed_weights() == []


def test_what_is_mapped_goes_on_when_it_is_removed() -> None:
    expected = plain(PATHS[0])
    with module_of(PATHS[0]) as module:
        resources.delete_packed_weights()
        assert same(maps_of(module), expected)
        with module_of(PATHS[0]) as second:
            assert same(maps_of(second), expected)


def test_those_used_least_recently_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in PATHS[:2]:
        module_of(path).delete()
    first, second = sorted(entries(), key=lambda entry: entry.name)
    os.utime(first.record, (1, 1))
    os.utime(second.record, (2, 2))
    module_of(PATHS[0]).delete()  # used: now the second is the oldest
    sizes = [one.size() or 0 for one in (first, second)]
    monkeypatch.setenv(places.LIMIT_VARIABLE, str(sum(sizes)))
    module_of(PATHS[2]).delete()
    assert second not in entries()
    monkeypatch.setenv(places.LIMIT_VARIABLE, "0")
    with module_of(program("logits_c1")):
        assert mapped() == {str(only_entry().packed)}  # the one in use is kept


def test_what_killed_processes_left_goes_with_the_next_file(cache: Path) -> None:
    module_of(PATHS[0]).delete()
    folder = cache / "weights"
    old = [folder / "some.json.17.new", folder / "programs" / "1-2.json.18.new"]
    young = folder / "some.json.19.new"
    mine = folder / "mine.new"
    for path in (*old, young, mine):
        path.write_text("half of a record")
    for path in (*old, mine):
        os.utime(path, (1, 1))
    for number in range(300):
        record = folder / "programs" / f"7-{number:x}.json"
        record.write_text("{}")
        os.utime(record, (number + 1, number + 1))
    module_of(PATHS[1]).delete()
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert mine.exists()
    assert len(list(folder.glob("programs/*.json"))) == 256


def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(places.LIMIT_VARIABLE, "2 GiB")
    with pytest.raises(etseg.InvalidConfigError, match="expected a number of bytes"):
        module_of(PATHS[0])


def test_what_is_not_ours_is_left_alone(cache: Path) -> None:
    module_of(PATHS[0]).delete()
    folder = cache / "weights"
    (folder / "notes.txt").write_text("mine")
    (folder / "mine.packed").write_text("mine")
    resources.delete_packed_weights()
    assert (folder / "notes.txt").read_text() == (folder / "mine.packed").read_text() == "mine"
    (folder / ".etseg").unlink()
    assert entries() == []


def test_the_command_shows_and_removes_them() -> None:
    module_of(PATHS[0]).delete()
    listed = CliRunner().invoke(main, ["cache", "list", "--json"])
    (row,) = json.loads(listed.stdout)
    assert (row["kind"], row["url"], row["sha256"]) == ("packed weights", None, None)
    assert row["size"] == Path(row["path"]).stat().st_size
    assert row["path"] in CliRunner().invoke(main, ["cache", "list"]).stdout.replace("\n", "")
    cleared = CliRunner().invoke(main, ["cache", "clear", "--yes", "--json"])
    assert json.loads(cleared.stdout)["freed"] >= row["size"]
    assert CliRunner().invoke(main, ["cache", "list"]).stdout == ""


def test_the_doctor_says_whether_they_can_be_shared(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> dict[str, object]:
        answer = CliRunner().invoke(main, ["doctor", "--json"])
        found: dict[str, object] = json.loads(answer.stdout)["packed_weights"]
        return found

    assert told()["shared"] is True
    assert not cache.exists()  # asking makes nothing
    module_of(PATHS[0]).delete()
    assert told()["size"] == only_entry().size()
    monkeypatch.setattr(places, "file_system", lambda _: "cifs")
    assert told()["shared"] is False
    assert "network file system" in str(told()["why_not"])
