"""A load on a service, made by locust, in a process of its own: gevent patches the one it is in.

    python harness/load.py '{"url": ..., "photos": FOLDER, "users": N, "rate": R, "seconds": S}' OUT

With a rate the users together post R images a second, at random times (a Poisson process) that do
not depend on the answers; a user whose answer is late is late by that, and its next ones follow at
once. With rate 0 each posts again as soon as it is answered.

OUT is a file of numpy: "rows" has for each answer when it was due (seconds), how long it took from
then on (milliseconds), and its status (0: none came); "cpu" and "wall" are what the load itself
took, in seconds.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import FastHttpUser, task
from locust.env import Environment


def main() -> None:
    """As the module says."""
    wanted = json.loads(sys.argv[1])
    photos = [path.read_bytes() for path in sorted(Path(wanted["photos"]).iterdir())]
    rows: list[tuple[float, float, float]] = []
    pause = wanted["users"] / wanted["rate"] if wanted["rate"] else 0.0

    class Client(FastHttpUser):  # type: ignore[misc]
        """One of the users."""

        host = wanted["url"]
        connection_timeout = network_timeout = 60.0

        def on_start(self) -> None:
            """Nobody's first request is at the same time as another's."""
            self.due = time.perf_counter() + (random.expovariate(1 / pause) if pause else 0.0)
            gevent.sleep(max(0.0, self.due - time.perf_counter()))

        def wait_time(self) -> float:
            """Until the next is due."""
            if not pause:
                self.due = time.perf_counter()
                return 0.0
            self.due += random.expovariate(1 / pause)
            return max(0.0, self.due - time.perf_counter())

        @task
        def segment(self) -> None:
            """One request."""
            sent: dict[str, Any] = {"data": random.choice(photos), "catch_response": True}
            due = self.due if pause else time.perf_counter()
            headers = {"Content-Type": "image/jpeg"}
            with self.client.post("/v1/segment", headers=headers, **sent) as answer:
                took = (time.perf_counter() - due) * 1e3
                rows.append((due, took, answer.status_code or 0))
                answer.success()

    environment = Environment(user_classes=[Client], stop_timeout=30)
    start, cpu = time.perf_counter(), time.process_time()
    runner = environment.create_local_runner()
    runner.start(wanted["users"], spawn_rate=wanted["users"])
    gevent.spawn_later(wanted["seconds"], runner.quit)
    runner.greenlet.join()
    took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - start}
    np.savez(sys.argv[2], rows=np.array(rows, np.float64).reshape(-1, 3), **took)


if __name__ == "__main__":
    main()
