"""Peers in turn, round after round, on the same work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.process import PeerProcess
from harness.stats import Summary, summary

STAGES = ("decode", "preprocess", "inference", "postprocess", "total", "cpu")
#: A turn starts with a run that is not counted, if that costs less than this, in seconds: the other
#: peers have emptied the caches.
WARM_UP_BELOW = 0.25
#: Between turns: the pools of some runtimes spin a while before they sleep.
PAUSE = 0.02


def interleave(
    processes: Sequence[PeerProcess],
    classes: list[int],
    resize: bool,
    *,
    rounds: int,
    seconds: float,
    on_round: Callable[[int], object] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Milliseconds of each peer by stage: median, p10, p90, and the number of rounds.

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
            time.sleep(PAUSE)
            if last[process.name] < WARM_UP_BELOW:
                process.run(classes, resize)
            sample = process.run(classes, resize)
            last[process.name] = _seconds(sample)
            samples[process.name].append(sample)
        done += 1
        on_round(done)
    return {name: _summarise(rows) for name, rows in samples.items()}


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
    return {**stages, "rounds": len(rows)}


def _seconds(sample: dict[str, int]) -> float:
    return sample["total"] / 1e9
