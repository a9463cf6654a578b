"""Loads mutated copies of a program, in a process that may crash.

    python mutations.py PROGRAM FOLDER LIMIT FIRST LAST

Works through the seeds FIRST .. LAST-1. Each changes one to eight random bytes among the first
LIMIT of the file (0: anywhere), loads the copy, and segments a small image if that works. Prints
the seed before, and what came of it after: the parent sees at which one the process died.
"""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

SECONDS = 20  # for one copy; a whole forward takes milliseconds


def mutated(program: bytes, limit: int, seed: int) -> bytes:
    """A copy with one to eight bytes changed; never equal to the original."""
    rng = random.Random(seed)
    copy = bytearray(program)
    for at in rng.sample(range(limit or len(copy)), rng.randint(1, 8)):
        copy[at] ^= rng.randint(1, 255)
    return bytes(copy)


def work(program: bytes, folder: Path, limit: int, seeds: range) -> None:
    """The child: one line before each seed, one after."""
    import numpy as np

    import etseg

    # A damaged size may ask for all memory; the machine has other users.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    image = np.zeros((32, 32, 3), np.uint8)
    module = etseg.ImageSegmentationModule()
    path = folder / f"mutated-{seeds.start}.pte"
    for seed in seeds:
        sys.stdout.write(f"{seed}\n")
        sys.stdout.flush()
        path.write_bytes(mutated(program, limit, seed))
        signal.alarm(SECONDS)  # its default action ends the process
        try:
            module.load(path)
            module.forward(image)
            outcome = "ran"
        except etseg.EtsegError as error:
            outcome = type(error).__name__
        signal.alarm(0)
        module.delete()
        sys.stdout.write(f"{outcome}\n")
        sys.stdout.flush()


def outcomes(
    program: Path, folder: Path, limit: int, seeds: range
) -> tuple[Counter[str], list[str]]:
    """The parent: how often each outcome came, and the seeds that ended their process."""
    counts: Counter[str] = Counter()
    deaths: list[str] = []
    first = seeds.start
    while first < seeds.stop:
        arguments = (program, folder, limit, first, seeds.stop)
        done = subprocess.run(
            [sys.executable, __file__, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=SECONDS * len(seeds),
            check=False,
        )
        lines = done.stdout.split()
        counts.update(lines[1::2])
        first += len(lines) // 2
        if done.returncode == 0:
            break
        if len(lines) % 2 == 0:
            message = f"died outside a copy: {done}"
            raise RuntimeError(message)
        deaths.append(f"seed {lines[-1]}: exit code {done.returncode} {done.stderr[-300:]}")
        counts["hung" if done.returncode == -signal.SIGALRM else "crashed"] += 1
        first += 1
    return counts, deaths


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[3:6]]
    work(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), numbers[0], range(*numbers[1:]))
