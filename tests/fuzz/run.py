"""Fuzzes what takes the files and texts of strangers, and says what it found.

    python tests/fuzz/run.py --seconds 600
    python tests/fuzz/run.py --seconds 60 --target images --seed mine --keep finds

Cases know the structure of what they are: tags repeated, sizes contradicted, boxes nested, numbers
made long. They are tried in processes of limited memory and time. A find is a crash, a hang, a
limit passed, an exception that is not etseg's, or a word on standard output or error. Exits with 1
if there is any. Needs the package and its group "test"; Linux.

A case comes from its target, seed and number alone; it is written to standard output by
`python tests/fuzz/targets.py TARGET SEED NUMBER`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from child import CPU_SECONDS
from targets import TARGETS, case_of

#: Without a step, on a busy machine, of a process that does nothing or waits.
_STALLED_SECONDS = 30 * CPU_SECONDS
_FEWEST_SECONDS = 5  # of a target: some start slowly
_TIME_IS_OVER = "the time is over"


@dataclass
class Score:
    """Of a target."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    finds: list[tuple[int, str]] = field(default_factory=list)


def tried(name: str, seed: str, first: int, last: int, end: float) -> Iterator[tuple[int, str]]:
    """Tries cases in processes until `end`; yields finds, and what came of how many at the end."""
    while first < last:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            arguments = [Path(__file__).with_name("child.py"), name, seed, first, last, folder]
            child = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=subprocess.DEVNULL,
                stderr=(folder / "start").open("wb"),
                env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            )
            stopped = _watched(child, folder / "at", end)
            with suppress(FileNotFoundError):
                for line in (folder / "finds").read_text().splitlines():
                    find = json.loads(line)
                    yield find["index"], find["wrong"]
            at = _number(folder / "at")
            if at >= first:
                yield -1, (folder / "outcomes").read_text()
            if child.returncode == 0 or stopped == _TIME_IS_OVER:
                return
            if at < first:
                raise SystemExit(f"{name} did not start:\n{(folder / 'start').read_text()}")
            how = stopped or _how_it_ended(child.returncode)
            said = (folder / "said").read_bytes()[-2000:].decode("latin-1")
            yield at, f"the process ended: {how}\n{said}{(folder / 'start').read_text()[-2000:]}"
            first = at + 1


def _how_it_ended(code: int) -> str:
    return f"exit code {code}" if code > 0 else signal.Signals(-code).name


def _watched(child: subprocess.Popen[bytes], at: Path, end: float) -> str:
    """Waits for a process; says why it was killed, if it was."""
    last, since = -1, time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
            return ""
        now, number = time.monotonic(), _number(at)
        if number != last:
            last, since = number, now
        why = _TIME_IS_OVER if now > end else ""
        if now - since > _STALLED_SECONDS:
            why = f"no step for {_STALLED_SECONDS} s"
        if why:
            child.kill()
            child.wait()
            return why


def _number(path: Path) -> int:
    try:
        return int(path.read_text() or -1)
    except (FileNotFoundError, ValueError):
        return -1


def fuzzed(name: str, seed: str, seconds: float, most: int) -> Score:
    """Tries cases of a target for so long; files are all tried."""
    score, start, first = Score(), time.monotonic(), 0
    target = TARGETS[name]
    if target.case is None:
        most, seconds = min(most, target.most), 10 * _STALLED_SECONDS
    while time.monotonic() < start + seconds and first < most:
        last = min(first + target.cases, most)
        for index, what in tried(name, seed, first, last, start + seconds):
            if index < 0:
                counts = json.loads(what)
                score.outcomes.update(counts)
                score.cases += sum(counts.values())
            else:
                score.finds.append((index, what))
                sys.stdout.write(f"FOUND {name} {seed} {index}: {what}\n")
                sys.stdout.flush()
        first = last
    return score


def kept(folder: Path, name: str, seed: str, score: Score) -> None:
    """Writes the cases that were finds."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, what in score.finds:
        case = case_of(name, seed, index)
        path = folder / f"{name}-{seed}-{index}"
        path.write_bytes(case if isinstance(case, bytes) else repr(case).encode())
        path.with_suffix(".txt").write_text(what)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this; repeatable")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="of each target, at most")
    parser.add_argument("--keep", type=Path, help="a folder for the cases that are finds")
    options = parser.parse_args()
    names = options.target or [name for name, target in TARGETS.items() if target.share]
    shares = sum(TARGETS[name].share for name in names) or 1
    passed = failed = 0
    for name in names:
        seconds = max(_FEWEST_SECONDS, options.seconds * TARGETS[name].share / shares)
        score = fuzzed(name, options.seed, seconds, options.cases)
        outcomes = ", ".join(f"{what} {n}" for what, n in score.outcomes.most_common())
        sys.stdout.write(f"{name:10} {score.cases:8} cases, {len(score.finds)} finds: {outcomes}\n")
        sys.stdout.flush()
        passed += score.cases - len(score.finds)
        failed += len(score.finds)
        if options.keep and score.finds:
            kept(options.keep, name, options.seed, score)
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    raise SystemExit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
