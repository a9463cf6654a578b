"""Everything at once, for as long as one likes: does it crash, hang, leak, or return wrong maps?

    python benchmarks/soak.py [--minutes 20] [--threads 8] [--seed N]

Threads do random operations on a few shared modules (concurrency 1 to 3): load, load_async,
forward, forward_async (some cancelled), map (some left early), delete, new module, pickle, gc. Each
result is compared, bit for bit, with those that a module alone gave before, one for each model.

At intervals a line has operations, errors, memory and threads; then all rest for a moment, without
a model, and the line has what is resident then: that must not grow. The end has errors by type, and
a verdict, which is the exit code too. A thread that does not finish an operation in --patience
seconds is a deadlock: every thread's stack is printed, and the exit code is 2. So it is on a crash.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import faulthandler
import gc
import os
import pickle
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import etseg
from harness.machine import machine_line
from harness.memory import resident
from harness.soak_cases import BROKEN, MODELS, Case, digest, make_cases

#: Errors that are answers: what was deleted meanwhile, a model that has no such label, a program
#: that was not to load, an array that does not fit the other model's maps.
EXPECTED = ("ModuleNotLoadedError", "LabelError", "UnsupportedModelError", "InvalidModelError")
EXPECTED += ("FileReadError", "InvalidUserInputError")


class Soak:
    """The shared modules, and what happened to them."""

    def __init__(self, options: argparse.Namespace, cases: list[Case]) -> None:
        self.options = options
        self.cases = cases
        self.modules = [self._new() for _ in range(options.modules)]
        self.done: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.beats = [0.0] * options.threads
        self.stop = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    @staticmethod
    def _new() -> etseg.ImageSegmentationModule:
        return etseg.ImageSegmentationModule(concurrency=random.choice((1, 1, 2, 3)))

    def run(self, number: int) -> None:
        """A thread: operations until the end."""
        chance = random.Random(self.options.seed * 1000 + number)
        operations: list[tuple[Callable[[random.Random], None], int]] = [
            (self.forward, 30),
            (self.forward_async, 10),
            (self.map, 6),
            (self.load, 10),
            (self.load_async, 3),
            (self.load_broken, 2),
            (self.delete, 3),
            (self.replace, 2),
            (self.copy, 1),
            (self.collect, 1),
        ]
        names = [operation for operation, _ in operations]
        weights = [weight for _, weight in operations]
        while not self.stop.is_set():
            self.beats[number] = float("inf")
            self.go.wait()
            self.beats[number] = time.monotonic()
            operation = chance.choices(names, weights)[0]
            try:
                operation(chance)
            except Exception as error:
                self.count_error(error)
            self.count(operation.__name__)
        self.beats[number] = float("inf")

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def count_error(self, error: BaseException) -> None:
        kind = type(error).__name__
        with self._lock:
            self.errors[kind] += 1
            if kind not in EXPECTED:
                self.wrong.append(f"{kind}: {error}")

    def check(self, case: Case, result: etseg.SegmentationResult) -> None:
        self.count("results")
        if digest(result) not in case.right:
            with self._lock:
                self.wrong.append(f"{result!r} of {case.classes} is not what one call alone gives")

    def rest(self) -> int:
        """Lets nobody begin anything, and frees all that can be. Bytes resident then."""
        self.go.clear()
        self.wait()
        self.modules = [self._new() for _ in self.modules]
        gc.collect()
        deadline = time.monotonic() + self.options.patience
        while threading.active_count() > 1 + len(self.beats):  # those of modules go by and by
            if time.monotonic() > deadline:
                self.wrong.append(f"threads stay: {[t.name for t in threading.enumerate()]}")
                break
            time.sleep(0.01)
        with contextlib.suppress(OSError, AttributeError):  # what malloc keeps is no leak
            ctypes.CDLL(None).malloc_trim(0)
        return resident()

    def wait(self) -> None:
        """Until no thread does anything. Ends the process if one is stuck."""
        while min(self.beats) < float("inf"):
            self.watch()
            time.sleep(0.01)

    def watch(self) -> None:
        """Ends the process if a thread is stuck."""
        now = time.monotonic()
        stuck = [n for n, beat in enumerate(self.beats) if now - beat > self.options.patience]
        if stuck:
            print(f"DEADLOCK: threads {stuck} are stuck", flush=True)
            faulthandler.dump_traceback(all_threads=True)
            sys.stderr.flush()
            os._exit(2)

    def module(self, chance: random.Random) -> etseg.ImageSegmentationModule:
        return chance.choice(self.modules)

    def forward(self, chance: random.Random) -> None:
        case = chance.choice(self.cases)
        module = self.module(chance)
        result = module.forward(case.image, case.classes, case.resize)
        self.check(case, result)
        if chance.random() < 0.3:
            self.check(case, module.forward(case.image, case.classes, case.resize, out=result))

    def forward_async(self, chance: random.Random) -> None:
        async def one(case: Case, patience: float | None) -> None:
            call = module.forward_async(case.image, case.classes, case.resize)
            try:
                result = await asyncio.wait_for(call, patience)
            except asyncio.TimeoutError:
                self.count("forwards cancelled")
            except etseg.EtsegError as error:
                self.count_error(error)
            else:
                self.check(case, result)

        async def main() -> None:
            many = [chance.choice(self.cases) for _ in range(chance.randint(1, 12))]
            await asyncio.gather(*(one(c, chance.choice((None, None, 0.002))) for c in many))

        module = self.module(chance)
        run = chance.choice(RUNNERS)
        run(main())

    def map(self, chance: random.Random) -> None:
        resize = chance.random() < 0.5
        many = [c for c in self.cases if c.resize == resize and c.classes == (0, 1)]
        many = chance.choices(many, k=chance.randint(1, 20))
        leave = chance.randint(1, 30)
        stream = self.module(chance).map(
            (case.image for case in many), (0, 1), resize, on_error="yield"
        )
        ended = chance.choice((stream, contextlib.nullcontext(stream)))
        with ended:
            for number, (case, result) in enumerate(zip(many, stream, strict=False)):
                if isinstance(result, etseg.EtsegError):
                    self.count_error(result)
                else:
                    self.check(case, result)
                if number == leave:
                    break

    def load(self, chance: random.Random) -> None:
        self.module(chance).load(chance.choice(MODELS))

    def load_async(self, chance: random.Random) -> None:
        async def main() -> None:
            call = self.module(chance).load_async(chance.choice(MODELS), lambda _: None)
            try:
                await asyncio.wait_for(call, chance.choice((None, None, 0.001)))
            except asyncio.TimeoutError:
                self.count("loads cancelled")

        chance.choice(RUNNERS)(main())

    def load_broken(self, chance: random.Random) -> None:
        self.module(chance).load(chance.choice(BROKEN))

    def delete(self, chance: random.Random) -> None:
        self.module(chance).delete()

    def replace(self, chance: random.Random) -> None:
        """The old one goes when its last call is done."""
        module = self._new()
        module.load(chance.choice(MODELS))
        self.modules[chance.randrange(len(self.modules))] = module

    def copy(self, chance: random.Random) -> None:
        case = chance.choice(self.cases)
        with pickle.loads(pickle.dumps(self.module(chance))) as module:
            self.check(case, module.forward(case.image, case.classes, case.resize))

    def collect(self, _chance: random.Random) -> None:
        cycle: list[Any] = [etseg.ImageSegmentationModule()]
        cycle[0].load(MODELS[2])
        cycle.append(cycle)
        del cycle
        gc.collect()


def _runners() -> list[Callable[..., Any]]:
    try:
        import uvloop
    except ImportError:
        return [asyncio.run]
    return [asyncio.run, uvloop.run]


RUNNERS = _runners()


def main() -> int:
    """Soaks, and says how it went."""
    made = argparse.ArgumentParser(
        description="Does etseg crash, hang, leak, or return wrong maps under random use?",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--minutes", type=float, default=20.0)
    made.add_argument("--threads", type=int, default=8)
    made.add_argument("--modules", type=int, default=4)
    made.add_argument("--seed", type=int, default=int(time.time()))
    made.add_argument("--patience", type=float, default=60.0, help="seconds for one operation")
    made.add_argument("--interval", type=float, default=30.0, help="seconds between lines")
    options = made.parse_args()
    faulthandler.enable()
    with contextlib.suppress(OSError, AttributeError):
        # Two arenas of malloc, not sixteen: what lies in pieces in each of them hides what grows.
        ctypes.CDLL(None).mallopt(-8, 2)
    print(machine_line())
    print(f"seed {options.seed}, {options.threads} threads, {options.minutes:g} minutes")
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options, make_cases(Path(folder)))
        return _verdict(soak, _soak(soak))


def _soak(soak: Soak) -> list[int]:
    """Lets the threads run. Bytes resident at each rest."""
    options = soak.options
    for number in range(options.threads):
        threading.Thread(target=soak.run, args=(number,), name="soak", daemon=True).start()
    start = time.monotonic()
    rests: list[int] = []
    print("    s   operations   results   errors   threads   RSS MB   at rest")
    while (left := start + options.minutes * 60 - time.monotonic()) > 0:
        end = time.monotonic() + min(options.interval, left)
        while (pause := min(end - time.monotonic(), 1)) > 0:
            time.sleep(pause)
            soak.watch()
        line = (
            f"{time.monotonic() - start:5.0f} {sum(soak.done.values()):12,}"
            f" {soak.done['results']:9,} {sum(soak.errors.values()):8,}"
            f" {threading.active_count():9} {resident() / 1e6:8.1f}"
        )
        rests.append(soak.rest())
        print(f"{line} {rests[-1] / 1e6:9.1f}", flush=True)
        soak.go.set()
    soak.stop.set()
    soak.wait()
    return rests


def _verdict(soak: Soak, rests: list[int]) -> int:
    for what, count in sorted(soak.done.items()):
        print(f"{what:>21} {count:9,}")
    for kind, count in sorted(soak.errors.items()):
        print(f"{kind:>21} {count:9,} {'' if kind in EXPECTED else '  NOT EXPECTED'}")
    faults = soak.wrong[:20]
    quarter = len(rests) // 4
    if quarter >= 3:  # the first one fills pools, caches and arenas; fragments come and go
        before, after = min(rests[quarter : 2 * quarter]), min(rests[-quarter:])
        print(f"least at rest: {before / 1e6:.1f} MB in the second quarter,", end=" ")
        print(f"{after / 1e6:.1f} MB in the last")
        if after > 1.05 * before + 4e6:
            faults.append("memory grows")
    for fault in faults:
        print("FAULT", fault)
    print("BAD" if faults else "GOOD")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
