"""Packed weights while processes are killed that make them, and after files were damaged.

    python tests/tools/weights_chaos.py --kills 200 --damages 500 [--seed N] [PROGRAM.pte]

A kill: one to four processes load a program whose packed weights are not there; each is killed
(-9) before a line of etseg/_weights of its own, chosen at random, or comes to its end. Afterwards a
process loads the program, and its results are compared with those without files.

A damage: bytes of footer, index or weights are flipped, the file is cut off or exchanged for
another program's, with its times set back. Again a process loads the program.

Prints how many of each there were, and what was wrong; exit code 1 if anything was. Loads happen in
forked processes: this one never uses the runtime.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import etseg
from etseg import _weights
from etseg._weights.entries import Entry, entries

DATA = Path(__file__).resolve().parents[1] / "data" / "programs"
OURS = str(Path(_weights.__file__).parent)
KILLED = -signal.SIGKILL


def digest(path: Path, mode: Any) -> str:
    """Of what a program returns for noise."""
    with etseg.ImageSegmentationModule(packed_weights=mode, concurrency=2) as module:
        module.load(path)
        size = (*module.input_size, 3)
        image = np.random.default_rng(0).integers(0, 256, size, np.uint8)
        result = module.forward(image, [x for x in module.labels if x.name != "ARGMAX"])
        return hashlib.sha256(b"".join(result[label].tobytes() for label in result)).hexdigest()


class Child:
    """A forked process, and what its work returned."""

    def __init__(self, work: Callable[[], str]) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(read)
                os.write(write, work().encode())
                code = 0
            except BaseException:  # nothing of this process may go on in the child
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write)
        self._read = read

    def end(self) -> tuple[int, str]:
        """Waits; its exit code, or minus the signal that ended it, and what it returned."""
        with os.fdopen(self._read) as pipe:
            said = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), said


def counted(step: Callable[[int], None], work: Callable[[], str]) -> str:
    """Does some work; step() is called with the number of each line of ours before it runs."""
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            lines += 1
            step(lines)
        return trace

    sys.settrace(trace)
    try:
        return work()
    finally:
        sys.settrace(None)


def lines_of_a_load(path: Path) -> int:
    """How many lines of ours there are from nothing to a mapped file."""

    def work() -> str:
        most = 0

        def step(line: int) -> None:
            nonlocal most
            most = line

        counted(step, lambda: digest(path, "file"))
        return str(most)

    return int(Child(work).end()[1])


class Campaign:
    """What was done, and what went wrong."""

    def __init__(self, path: Path, other: Path, seed: int) -> None:
        self.path, self.other = path, other
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.expected = Child(lambda: digest(path, "memory")).end()[1]

    def check(self, what: str) -> None:
        """A load after what happened: always right, and in the end from a file."""
        code, said = Child(lambda: digest(self.path, "file")).end()
        self.done[what.split(",")[0]] += 1
        if (code, said) != (0, self.expected):
            self.wrong.append(f"{what}: then a load ended with {code}, {said[:12] or 'nothing'}")
        elif not any(entry.size() for entry in entries()):
            self.wrong.append(f"{what}: then a load made no file")

    def kills(self, wanted: int) -> None:
        """Processes killed while they make the file."""
        lines = lines_of_a_load(self.path)
        while self.done["killed"] < wanted:
            _empty()
            moments = [self.random.randint(1, lines + lines // 8) for _ in range(4)]
            moments = moments[: self.random.randint(1, 4)]
            children = [Child(lambda at=at: self._until(at)) for at in moments]  # type: ignore[misc]
            for moment, child in zip(moments, children, strict=True):
                code, said = child.end()
                if code == KILLED:
                    self.done["killed"] += 1
                elif (code, said) != (0, self.expected):
                    self.wrong.append(f"killed before line {moment}: {code}, {said[:12]}")
            self.check(f"afterwards, of {moments}")

    def _until(self, moment: int) -> str:
        def step(line: int) -> None:
            if line == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        return counted(step, lambda: digest(self.path, "file"))

    def damages(self, wanted: int) -> None:
        """Files that are not what was written."""
        _empty()
        for path in (self.path, self.other):
            Child(lambda path=path: digest(path, "file")).end()  # type: ignore[misc]
        folder = entries()[0].folder
        with tempfile.TemporaryDirectory() as kept:
            whole = Path(kept) / "whole"
            shutil.copytree(folder, whole)
            for number in range(wanted):
                shutil.rmtree(folder)
                shutil.copytree(whole, folder)
                entry = next(e for e in entries() if e.name.startswith(self.path.stem + "-"))
                kind = (*("footer", "index", "weights") * 3, "cut", "exchanged")[number % 11]
                self._damage(entry, kind)
                self.check(f"{kind}, damage {number}")

    def _damage(self, entry: Entry, kind: str) -> None:
        packed, before = entry.packed, entry.packed.stat()
        packed.chmod(0o600)
        if kind == "exchanged":
            other = next(e for e in entries() if e != entry)
            packed.unlink()
            shutil.copyfile(other.packed, packed)
        elif kind == "cut":
            os.truncate(packed, self.random.randrange(before.st_size))
        else:
            end = before.st_size
            places = {"weights": (0, end - 384), "index": (end - 384, end - 32)}
            places["footer"] = (end - 32, end)
            with packed.open("r+b") as file:
                for _ in range(self.random.randint(1, 8)):
                    file.seek(self.random.randrange(*places[kind]))
                    file.write(self.random.randbytes(1))
        packed.chmod(0o400)
        os.utime(packed, ns=(before.st_atime_ns, before.st_mtime_ns))


def _empty() -> None:
    for entry in entries():
        entry.delete()


def main() -> None:
    """Runs the campaigns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", nargs="?", type=Path, default=DATA / "logits_c21.pte")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--damages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ETSEG_CACHE"] = folder
        campaign = Campaign(options.program, DATA / "logits_c3.pte", options.seed)
        campaign.kills(options.kills)
        campaign.damages(options.damages)
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in campaign.done.items()) + "\n")
    sys.stdout.write("".join(f"WRONG {line}\n" for line in campaign.wrong) or "nothing wrong\n")
    sys.exit(bool(campaign.wrong))


if __name__ == "__main__":
    main()
