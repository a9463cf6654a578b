"""Rounds of downloads that are interrupted, with files damaged and versions changed in between.

Each round is made of its number alone. What a round ends with is a version that the server had,
whole, or an error. ETSEG_CAMPAIGN_ROUNDS=2000 makes it longer.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from etseg import EtsegError, resources
from http_server import Fault, Server

ROUNDS = int(os.environ.get("ETSEG_CAMPAIGN_ROUNDS", "200"))
SIZE = 400_000  # several lines of a note

pytestmark = pytest.mark.usefixtures("cache")


class StopError(Exception):
    """Raised by a callback that has had enough."""


def program_of(version: int, size: int) -> bytes:
    """Bytes that look like a program from outside, and say how long they are."""
    body = random.Random(version).randbytes(size - 40)
    return struct.pack("<I4s4sIQQQ", 24, b"ET12", b"eh00", 32, size, 0, 0) + body


def flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3])):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def lengthen(content: bytes, chance: random.Random) -> bytes:
    return content + chance.randbytes(chance.randrange(1, 100_000))


def blank(content: bytes, chance: random.Random) -> bytes:
    """As after a power failure: the length is there, the bytes are not."""
    kept = chance.randrange(len(content) + 1)
    return content[:kept] + bytes(len(content) - kept)


def swap(content: bytes, chance: random.Random) -> bytes:
    """Lines of text, or halves, change places."""
    lines = content.splitlines(keepends=True) if len(content) < 10_000 else [content]
    if len(lines) < 2:
        return content[len(content) // 2 :] + content[: len(content) // 2]
    chance.shuffle(lines)
    return b"".join(lines)


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [flip, flip, cut, lengthen, blank, swap]


class Round:
    """One URL, a server that has had several versions of it, and a cache that decays."""

    def __init__(self, number: int, server: Server, cache: Path, with_sha256: bool) -> None:
        self.chance = random.Random(number)
        self.cache = cache
        self.with_sha256 = with_sha256
        self.versions: list[bytes] = []
        self.path = f"/{number}/model.pte"
        self.server = server
        self.url = server.add(
            self.path,
            b"",
            heeds_if_range=self.chance.random() < 0.5,
            ranges=self.chance.random() < 0.9,
        )
        self.release()

    def release(self) -> None:
        """A new version, often as long as the one before."""
        length = SIZE + self.chance.choice([0, 0, 0, 4096])
        self.versions.append(program_of(self.chance.getrandbits(32), length))
        file = self.server.files[self.path]
        file.body, file.etag = self.versions[-1], f'"{len(self.versions)}"'

    def damage(self) -> None:
        """Something happens to one of the files that are there."""
        there = [path for path in self.cache.rglob("*") if path.suffix != ".lock"]
        there = sorted(path for path in there if path.is_file() and path.name != ".etseg")
        if not there:
            return
        path = self.chance.choice(there)
        if self.chance.random() < 0.1:
            path.unlink()
        elif self.chance.random() < 0.1:
            path.write_bytes(self.chance.choice(there).read_bytes())
        else:
            path.write_bytes(self.chance.choice(DAMAGES)(path.read_bytes(), self.chance))

    def attempt(self) -> str:
        """One download, and what became of it: "right", "wrong", "refused" or "stopped"."""
        chance = self.chance
        stop_at = chance.choice([2.0, 2.0, chance.random()])

        def callback(progress: float) -> None:
            if progress >= stop_at:
                raise StopError

        cuts = [Fault(cut=chance.random()) for _ in range(chance.randrange(3))]
        self.server.files[self.path].faults = cuts
        expected = hashlib.sha256(self.versions[-1]).hexdigest() if self.with_sha256 else None
        spec = {"model_source": self.url, "sha256": expected}
        try:
            path = resources.fetch(spec, callback)
        except StopError:
            return "stopped"
        except EtsegError:
            return "refused"
        allowed = self.versions[-1:] if self.with_sha256 else self.versions
        return "right" if path.read_bytes() in allowed else "wrong"

    def run(self) -> Counter[str]:
        """A few downloads with a few accidents between them, and at last one without."""
        ends: Counter[str] = Counter()
        for _ in range(self.chance.randrange(2, 6)):
            ends[self.attempt()] += 1
            for _ in range(self.chance.choice([0, 1, 1, 2])):
                self.damage()
            if self.chance.random() < 0.2:
                self.release()
        resources.delete_resources(self.url)
        self.server.files[self.path].faults = []
        assert resources.fetch(self.url).read_bytes() == self.versions[-1]
        return ends


@pytest.mark.parametrize("with_sha256", [True, False], ids=["sha256", "etag"])
def test_no_wrong_model(
    server: Server,
    cache: Path,
    with_sha256: bool,
    measured: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("etseg._download.retrying.FIRST_PAUSE", 0.0)
    ends: Counter[str] = Counter()
    for number in range(ROUNDS // 2):
        round_ = Round(number, server, cache, with_sha256)
        came = round_.run()
        assert came["wrong"] == 0, f"round {number}: {came}"
        ends += came
        resources.delete_resources(round_.url)
    measured("ends", dict(ends))
    assert min(ends["right"], ends["stopped"]) >= ROUNDS // 10  # it did happen
