"""Peers in turn, round after round, on the same work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.process import PeerProcess
from harness.stats import Summary, summary

STAGES = ("decode", "preprocess", "inference", "postprocess", "total", "cpu")
#: A turn starts with runs that are not counted, for that many seconds: the other peers have emptied
#: the caches and the pool's threads sleep. Peers whose runs take longer go without.
WARM_UP = 0.03
#: Then runs are counted for that many seconds, one at least.
COUNTED = 0.02
#: A turn waits until nobody else runs, other peers' spinning threads included; at most so long.
PATIENCE = 0.5


def interleave(
    processes: Sequence[PeerProcess],
    classes: list[int],
    resize: bool,
    *,
    rounds: int,
    seconds: float,
    on_round: Callable[[int], object] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Milliseconds of each peer by stage: median, p10, p90, and the number of runs.

    Ends after `rounds` rounds, or after the first round past `seconds` (but not before the third).
    """
    samples: dict[str, list[dict[str, int]]] = defaultdict(list)
    last = {process.name: _seconds(process.run(classes, resize)) for process in processes}
    start = time.monotonic()
    done = 0
    while done < rounds and (done < 3 or time.monotonic() - start < seconds):
        # Another one begins in every round: nobody always follows the same neighbour.
        shift = done % len(processes)
        for process in [*processes[shift:], *processes[:shift]]:
            wait_until_quiet()
            _repeat(process, classes, resize, WARM_UP if last[process.name] < 0.25 else 0)
            counted = _repeat(process, classes, resize, COUNTED)
            last[process.name] = _seconds(counted[-1])
            samples[process.name] += counted
        done += 1
        on_round(done)
    return {name: _summarise(rows) for name, rows in samples.items()}


def wait_until_quiet(patience: float = PATIENCE) -> bool:
    """Whether the machine had nothing else to run for some milliseconds, within `patience`."""
    end = time.monotonic() + patience
    quiet = 0
    while quiet < 4 and time.monotonic() < end:
        time.sleep(0.003)
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        quiet = quiet + 1 if running <= 1 else 0  # this process is one
    return quiet >= 4


def _repeat(
    process: PeerProcess, classes: list[int], resize: bool, seconds: float
) -> list[dict[str, int]]:
    samples: list[dict[str, int]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or (seconds and not samples):
        samples.append(process.run(classes, resize))
    # The kernel adds up threads that run on other cores with some milliseconds' delay: CPU time is
    # that of all runs of a turn, by their number.
    if samples:
        cpu = samples[-1]["cpu_end"] - samples[0]["cpu_start"]
        samples = [{**sample, "cpu": cpu // len(samples)} for sample in samples]
    return samples


def agreement(
    ours: tuple[Any, dict[int, Any]], theirs: tuple[Any, dict[int, Any]]
) -> dict[str, float]:
    """Share of pixels with the same label, and the largest difference of a probability."""
    argmax = float(np.mean(ours[0] == theirs[0]))
    differences = [np.abs(ours[1][index] - theirs[1][index]).max() for index in ours[1]]
    return {"same_label": argmax, "largest_difference": float(max(differences, default=0.0))}


def _summarise(rows: list[dict[str, int]]) -> dict[str, Any]:
    stages: dict[str, Summary] = {
        stage: summary([row[stage] / 1e6 for row in rows]) for stage in STAGES if stage in rows[0]
    }
    return {**stages, "runs": len(rows)}


def _seconds(sample: dict[str, int]) -> float:
    return sample["total"] / 1e9
