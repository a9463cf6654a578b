"""Does `etseg serve` hold: for minutes, with models that are loaded anew and clients that leave?

    python tests/tools/serve_hold.py [--minutes 10] [--seed N]

Clients post photos without pause, to a model whose file is replaced and loaded anew (SIGHUP) every
few seconds, and to one that stays; others leave at any stage. Each request of the first has to be
answered, with what the one program or the other gives in this process, bit for bit. Prints a line
each half minute, and exits with 1 if something is wrong, or if memory or open files grow.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import urllib3

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python" / "support"))

from hostile_requests import hostile_requests
from servers import Served, Uses, served

TESTS = Path(__file__).resolve().parents[1]
PHOTO = TESTS / "data" / "astronaut.jpg"
PROGRAMS = [TESTS / "data" / "programs" / f"{name}.pte" for name in ("logits_c3", "sigmoid_c1")]
OUTPUTS = ("json", "mask", "npz")
#: By the photo's number and the output.
Answers = dict[tuple[int, str], Any]


def photos() -> list[bytes]:
    """A few, of several sizes."""
    picture = cv2.imread(str(PHOTO))
    assert picture is not None
    sizes = [(512, 512), (640, 360), (97, 201), (1280, 720)]
    return [cv2.imencode(".jpg", cv2.resize(picture, size))[1].tobytes() for size in sizes]


def told(output: str, body: bytes) -> Any:
    """What an answer says, in a form that two of the same are equal in."""
    if output == "json":
        content = json.loads(body)
        del content["timings_ms"]
        return json.dumps(content)
    if output == "npz":
        with np.load(io.BytesIO(body)) as arrays:
            return [(name, arrays[name].tobytes()) for name in sorted(arrays)]
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture.tobytes()


def answers_of(server: Served, model: str, sent: list[bytes]) -> Answers:
    """Of each photo and output, what a service that is left alone answers."""
    found = {}
    for (number, photo), output in itertools.product(enumerate(sent), OUTPUTS):
        status, body = server.post(photo, f"?model={model}&output={output}&rle=true")
        assert status == 200, body
        found[number, output] = told(output, body)
    return found


class Trial:
    """Clients of a service, and what came of them."""

    def __init__(self, server: Served, right: dict[str, list[Answers]]) -> None:
        self.server = server
        self.right = right
        self.sent = photos()
        self.stop = threading.Event()
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []

    def post(self, seed: int) -> None:
        """Photos, on a connection that is kept."""
        chance = random.Random(seed)
        pool = urllib3.HTTPConnectionPool("127.0.0.1", self.server.port, retries=False)
        while not self.stop.is_set():
            number, output = chance.randrange(len(self.sent)), chance.choice(OUTPUTS)
            model = chance.choice(list(self.right))
            path = f"/v1/segment?model={model}&output={output}&rle=true"
            try:
                answer = pool.request("POST", path, body=self.sent[number], timeout=60)
            except urllib3.exceptions.HTTPError as error:
                self.faults.append(f"not answered: {error!r}")
                continue
            self.done[f"{answer.status}"] += 1
            if answer.status != 200:
                self.faults.append(f"answered with {answer.status}: {answer.data[:200]!r}")
                continue
            found = told(output, answer.data)
            known = [right[number, output] for right in self.right[model]]
            if found not in known:
                self.faults.append(f"{output} of {model} is what no program of it gives")
            else:
                self.done[f"{model}, program {known.index(found)}"] += 1
        pool.close()

    def leave(self, seed: int) -> None:
        """Leaves at any stage, over and over."""
        cases = hostile_requests(seed, self.sent[0], self.sent)
        while not self.stop.is_set():
            case = next(_leaving(cases))
            case.play(self.server.connect)
            self.done["left"] += 1
            self.stop.wait(0.05)

    def reload(self, model: Path) -> None:
        """Another program in the place of the one that is there, and a signal."""
        for program in itertools.cycle(reversed(PROGRAMS)):
            if self.stop.wait(3):
                return
            replacement = model.with_suffix(".new")
            shutil.copy(program, replacement)
            replacement.replace(model)
            self.server.process.send_signal(signal.SIGHUP)
            self.done["reloads"] += 1


def _leaving(cases: Iterator[Any]) -> Iterator[Any]:
    return (case for case in cases if case.leaves)


def held(trial: Trial, model: Path, minutes: float) -> list[Uses]:
    """What the service uses, at intervals."""
    threads = [threading.Thread(target=trial.post, args=(seed,)) for seed in range(4)]
    threads += [threading.Thread(target=trial.leave, args=(seed,)) for seed in range(2)]
    threads.append(threading.Thread(target=trial.reload, args=(model,)))
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60 * minutes
    seen = []
    try:
        while (left := end - time.monotonic()) > 0 and trial.server.process.poll() is None:
            time.sleep(min(left, 30.0))
            seen.append(trial.server.uses())
            print(f"{dict(trial.done)}, {len(trial.faults)} faults, {seen[-1]}", flush=True)
    finally:
        trial.stop.set()
        for thread in threads:
            thread.join()
    return seen


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        right: dict[str, list[dict[tuple[int, str], Any]]] = {
            "model": [],
            "selfie-segmentation": [],
        }
        for program in PROGRAMS:
            shutil.copy(program, folder / "model.pte")
            with served("--model", folder / "model.pte", "--model", "selfie-segmentation") as alone:
                for model, known in right.items():
                    known.append(answers_of(alone, model, photos()))
        shutil.copy(PROGRAMS[0], folder / "model.pte")
        with served(
            "--model", folder / "model.pte", "--model", "selfie-segmentation",
            log=folder / "log", patience=60 * options.minutes + 600,
        ) as server:  # fmt: skip
            trial = Trial(server, right)
            seen = held(trial, folder / "model.pte", options.minutes)
            if server.process.poll() is not None:
                trial.faults.append("the service has ended")
            elif server.end() not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
                trial.faults.append("it did not end in peace")
        log = (folder / "log").read_text(encoding="utf-8")
    reloads = log.count("models loaded anew")
    quarter = len(seen) // 4
    if quarter >= 2:  # else there is too little to see it in
        before = min(uses.resident for uses in seen[quarter : 2 * quarter])
        after = min(uses.resident for uses in seen[-quarter:])
        print(f"MB resident: {before:.0f} in the second quarter, {after:.0f} in the last")
        if after > 1.1 * before + 10:
            trial.faults.append("memory grows")
        if min(uses.files for uses in seen[-quarter:]) > 20 + min(uses.files for uses in seen):
            trial.faults.append("open files grow")
    if "Traceback" in log:
        trial.faults.append("there are tracebacks in the log")
    if not reloads:
        trial.faults.append("no model was loaded anew: nothing is shown")
    left = trial.done["left"]
    print(f"{trial.done['200']} results compared, {reloads} reloads, {left} clients left")
    for fault in trial.faults[:20]:
        print("FAULT", fault)
    print("BAD" if trial.faults else "GOOD")
    sys.exit(bool(trial.faults))


if __name__ == "__main__":
    main()
