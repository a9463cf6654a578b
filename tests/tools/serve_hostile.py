"""What requests that nobody should make do to `etseg serve`: nothing, it should be.

    python tests/tools/serve_hostile.py [--requests 1000] [--seed N]

Some clients send hostile requests, one after the other: bodies that stop or drip, wrong lengths,
bombs, broken forms and JSON, images of the fuzz corpus, heads of ten thousand lines; they leave at
every stage, or do not listen. Meanwhile others post photos, and have to be answered rightly. Each
hostile request has to be answered or closed within --patience seconds. At the end the service is
there, and has the open files that it had at first, and the threads and, to speak of, the memory
that it had half way. Prints what came of it, and exits with 1 if something is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python" / "support"))

from hostile_requests import Hostile, corpus, hostile_requests
from servers import Served, Uses, served

TESTS = Path(__file__).resolve().parents[1]
PHOTO = TESTS / "data" / "astronaut.jpg"
#: Of the service: what a client may take its time for.
SECONDS = {"_ETSEG_SERVE_HEAD_SECONDS": "1", "_ETSEG_SERVE_READ_SECONDS": "1"}
OPTIONS = ("--body-seconds", "1", "--max-pixels", "4000000", "--max-body-bytes", "2000000")


class Trial:
    """The clients of a service, and what came of them."""

    def __init__(self, server: Served, patience: float) -> None:
        self.server = server
        self.patience = patience
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.longest = 0.0
        self.meanwhile: list[float] = []
        self.uses: dict[str, Uses] = {}

    def attack(self, requests: list[Hostile], clients: int) -> None:
        """All of them, from so many clients at a time."""
        waiting: SimpleQueue[Hostile] = SimpleQueue()
        for request in requests:
            waiting.put(request)
        threads = [threading.Thread(target=self._send, args=(waiting,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, waiting: SimpleQueue[Hostile]) -> None:
        while True:
            try:
                request = waiting.get_nowait()
            except Empty:
                return
            start = time.monotonic()
            try:
                outcome = request.play(lambda: self.server.connect(self.patience))
            except OSError as error:  # a timeout is one
                outcome = "nothing"
                self.faults.append(f"{request.name}: {error!r}")
            self.longest = max(self.longest, time.monotonic() - start)
            self.outcomes[f"{request.name}: {outcome}"] += 1
            if outcome.startswith("5") and outcome not in ("502", "503"):
                self.faults.append(f"{request.name} is answered with {outcome}")

    def others(self, photo: bytes, expected: bytes, stop: threading.Event) -> None:
        """Posts a photo, over and over, and looks at the mask."""
        while not stop.is_set():
            start = time.monotonic()
            try:
                status, body = self.server.post(photo, "?output=mask")
            except OSError as error:
                self.faults.append(f"another client was not answered: {error!r}")
                continue
            self.meanwhile.append(time.monotonic() - start)
            if (status, body) != (200, expected):
                self.faults.append(f"another client got {status}, or another mask")

    def rests_with(self, before: Uses) -> Uses:
        """What the service has once it has no more than before, or has been waited for."""
        end = time.monotonic() + self.patience
        while True:
            now = self.server.uses()
            at_rest = now.threads <= before.threads and now.files <= before.files
            if at_rest or time.monotonic() > end:
                return now
            time.sleep(0.1)


def attacked(server: Served, count: int, seed: int, clients: int, patience: float) -> Trial:
    """What became of a service under so many hostile requests; of `faults` there should be none.

    What it uses is held against what it used after as many others that were not counted.
    """
    photo = PHOTO.read_bytes()
    status, expected = server.post(photo, "?output=mask")
    assert status == 200
    idle = server.uses()
    trial = Trial(server, patience)
    cases = hostile_requests(seed, photo, corpus())
    stop = threading.Event()
    others = [threading.Thread(target=trial.others, args=(photo, expected, stop)) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        trial.attack(list(islice(cases, count // 2)), clients)
        warm = server.uses()
        trial.attack(list(islice(cases, count - count // 2)), clients)
    finally:
        stop.set()
        for thread in others:
            thread.join()
    # Threads of pools come when there is work, and stay: asyncio's, and one more than the cores.
    most = max(warm.threads, idle.threads + 2 * (os.cpu_count() or 1) + 5)
    after = trial.rests_with(Uses(most, idle.files, 0))
    trial.uses = {"idle": idle, "half way": warm, "after": after}
    if after.threads > most:
        trial.faults.append(f"threads: {warm.threads} half way, then {after.threads}")
    if after.files > idle.files:
        trial.faults.append(f"open files: {idle.files}, then {after.files}")
    if after.resident > 1.1 * warm.resident + 30:
        trial.faults.append(f"MB resident: {warm.resident:.0f}, then {after.resident:.0f}")
    if server.process.poll() is not None:
        trial.faults.append(f"it has ended with {server.process.returncode}")
    return trial


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=16, help="hostile ones, at a time")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds for an answer")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        with served(*OPTIONS, log=log, patience=3600, **SECONDS) as server:
            trial = attacked(
                server, options.requests, options.seed, options.clients, options.patience
            )
        tracebacks = log.read_text(encoding="utf-8", errors="replace").count("Traceback")
    for outcome, count in sorted(trial.outcomes.items()):
        print(f"{count:6} {outcome}")
    for when, uses in trial.uses.items():
        print(f"{when}: {uses.threads} threads, {uses.files} files, {uses.resident:.0f} MB")
    print(
        f"{options.requests} requests, the longest {trial.longest:.1f} s; meanwhile "
        f"{len(trial.meanwhile)} photos of others, the longest {max(trial.meanwhile):.2f} s"
    )
    if tracebacks:
        trial.faults.append(f"{tracebacks} tracebacks in the log")
    for fault in trial.faults[:20]:
        print("FAULT", fault)
    print("BAD" if trial.faults else "GOOD")
    sys.exit(bool(trial.faults))


if __name__ == "__main__":
    main()
