"""Ctrl-C at any moment: no hang, no lost result.

    python tests/tools/interrupts.py [RUNS]       # 1000

Each run is a process that segments images and is sent one SIGINT, at a moment drawn evenly from
its start to after its end, or every other time from the start of its work. It has to end, by
KeyboardInterrupt or with all results in order: one that was interrupted goes on and counts them.
Prints what happened; the status is that of the worst.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "data" / "programs" / "logits_c3.pte"

#: So long may a process take from the signal to its end, in seconds. Far more than it needs.
PATIENCE = 60

HEAD = """
import faulthandler, os, sys
faulthandler.register(12)  # SIGUSR2: where it hangs
import asyncio
import numpy as np
import etseg
module = etseg.ImageSegmentationModule()
module.load(sys.argv[1])
images = [np.full((8 + i, 40, 3), i, np.uint8) for i in range(60)]
results = []
os.write(1, b"ready\\n")  # in one piece
"""

#: What is interrupted. `extend` takes results by C code: none is lost by the script itself.
WORK = {
    "map": """
stream = module.map(iter(images), resize=True)
while len(results) < 60:
    try:
        results.extend(stream)
    except KeyboardInterrupt:
        print("interrupted")
""",
    "map, one at a time": """
stream = module.map(iter(images), resize=True, look_ahead=1)
while len(results) < 60:
    try:
        results.extend(stream)
    except KeyboardInterrupt:
        print("interrupted")
""",
    "map in with": """
with module.map(iter(images), resize=True) as stream:
    results.extend(stream)
""",
    "many maps": """
for image in images:
    results.extend(module.map([image], resize=True))
""",
    "forward_async": """
async def main():
    for image in images:
        results.append(await module.forward_async(image, resize=True))
asyncio.run(main())
""",
}
TAIL = """
assert [result.size[0] - 8 for result in results] == list(range(60)), len(results)
print("whole")
"""


def begun(work: str) -> subprocess.Popen[str]:
    """A process at its start."""
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + WORK[work] + TAIL, str(PROGRAM)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_ready(process: subprocess.Popen[str]) -> None:
    """Until the work begins. Not by readline(): it takes what follows, too."""
    assert process.stdout is not None
    os.read(process.stdout.fileno(), len("ready\n"))


def duration(work: str) -> tuple[float, float]:
    """Of a process that nobody interrupts, in seconds, the longest of a few: all, and its work."""
    times = []
    for _ in range(3):
        start = time.monotonic()
        with begun(work) as process:
            wait_for_ready(process)
            ready = time.monotonic()
            out, err = process.communicate(timeout=PATIENCE)
        assert out == "whole\n", err
        times.append((time.monotonic() - start, time.monotonic() - ready))
    return max(each for each, _ in times), max(each for _, each in times)


def interrupted(work: str, moment: float, ready: bool) -> str:
    """What became of a process that was interrupted so long after its start, or the work's."""
    with begun(work) as process:
        if ready:
            wait_for_ready(process)
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGUSR2)
            time.sleep(1)
            process.kill()
            print(process.communicate()[1])
            return "HUNG"
    if process.returncode == 0 and out.endswith("whole\n"):
        return "went on, all results" if "interrupted" in out else "came to its end"
    if process.returncode == -signal.SIGINT:  # also before Python minds signals, and after
        return "ended by the signal"
    if process.returncode == 1 and err.endswith("KeyboardInterrupt\n"):
        return "ended by KeyboardInterrupt"
    if process.returncode == 1 and "etseg" not in err:
        return "ended in what was imported before"
    print(process.returncode, out, err)
    return "WRONG"


def main() -> int:
    """Prints how often each thing happened, by what was interrupted."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    chance = random.Random(runs)
    lasts = {work: duration(work) for work in WORK}
    counts: Counter[tuple[str, str]] = Counter()
    for run in range(runs):
        work, ready = list(WORK)[run % len(WORK)], run // len(WORK) % 2
        moment = chance.uniform(0, 1.1 * lasts[work][ready])
        counts[work, interrupted(work, moment, bool(ready))] += 1
        if (run + 1) % 100 == 0 and run + 1 < runs:
            print(f"after {run + 1} runs:", dict(Counter(what for _, what in counts.elements())))
    for (work, what), count in sorted(counts.items()):
        print(f"{count:6} {work}: {what}")
    return any(what in ("HUNG", "WRONG") for _, what in counts)


if __name__ == "__main__":
    # A shell has what it runs in the background ignore Ctrl-C, and so would the children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
