"""What a job of etseg.batch loses while workers and nodes die under it: nothing, it should be.

    python tests/tools/batch_chaos.py --photos 2000              a cluster of three nodes
    python tests/tools/batch_chaos.py --photos 2000 --store      the photos in an S3 store
    python tests/tools/batch_chaos.py --photos 2000 --driver 10  the driver killed, and resumed

Makes photos of mixed sizes, one in twenty of them broken in one of several ways; runs the local
engine, then the job on a Ray cluster whose nodes have one CPU each, while a worker is killed three
times, a node removed and one added; compares the rows. The last part waits for the last trouble.
Needs ray, pyarrow, and for --store moto[server].
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pyarrow.parquet as pq

import etseg
from etseg import batch
from etseg.batch import _job
from etseg.batch._part import Done, PartWriter
from etseg.batch._places import file_system

MODEL = etseg.SELFIE_SEGMENTATION
PHOTO = Path(__file__).resolve().parents[1] / "data" / "astronaut.jpg"
_BREAKAGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda _: b"",
    lambda data: data[: len(data) // 3],
    lambda _: b"\xff\xd8\xff\xe0" + b"nothing that follows" * 9,
    lambda data: b"\x89PNG\r\n\x1a\n" + data,
    lambda _: b"a text that somebody named .jpg",
)


def make_photos(folder: Path, count: int) -> int:
    """Photos of 120 to 1080 rows; returns how many of them are broken."""
    folder.mkdir(parents=True)
    photo = cv2.imread(str(PHOTO))
    assert photo is not None
    rng = random.Random(0)
    broken = 0
    for number in range(count):
        height, width = rng.randint(120, 1080), rng.randint(160, 1920)
        resized = cv2.resize(photo, (width, height))
        data = cv2.imencode(".jpg", np.roll(resized, number, 1))[1].tobytes()
        if number % 20 == 7:
            broken += 1
            data = _BREAKAGES[broken % len(_BREAKAGES)](data)
        (folder / f"{number:05}.jpg").write_bytes(data)
    return broken


@contextmanager
def store(photos: Path) -> Iterator[str]:
    """An S3 store on the loopback with the photos in it; its URI."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        for path in sorted(photos.iterdir()):
            client.put_object(Bucket="bucket", Key=f"photos/{path.name}", Body=path.read_bytes())
        yield "s3://bucket"
    finally:
        server.stop()


def rows_of(place: str) -> dict[str, dict[str, Any]]:
    """The rows by the names of their photos, each of which has to be there once."""
    system, path = file_system(place)
    table = pq.read_table(path, filesystem=system)
    rows = {Path(row["key"]).name: row for row in table.to_pylist()}
    assert len(rows) == len(table), f"{len(table) - len(rows)} rows stand twice"
    for row in rows.values():
        del row["timings"], row["key"]
        if row["error"]:
            row["error"].pop("message")  # names the place
    return rows


class LastPartHeld(PartWriter):
    """Begins one part only once a file is there.

    The driver commits behind the workers. Without this they could have made all parts, and be gone,
    before it comes to the part after which one of them is to be killed.
    """

    def __init__(self, last: int, gate: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._last, self._gate = last, gate

    def write(self, part: Any) -> Done:
        """As the job's own, after the wait."""
        while part["part"][0].as_py() == self._last and not self._gate.exists():
            time.sleep(0.05)
        return super().write(part)


class Trouble:
    """Kills workers, removes a node and adds one, each once so many parts are done.

    Opens `gate` after the last of them.
    """

    def __init__(self, cluster: Any, node: Any, parts: int, gate: Path) -> None:
        self._cluster, self._node, self._gate = cluster, node, gate
        self._due = [(parts * k // 7, what) for k, what in enumerate("kkark", 1)]
        self._parts = 0

    def part_done(self, *_: int) -> None:
        """What the job tells; it waits meanwhile, and its workers go on."""
        self._parts += 1
        while self._due and self._parts >= self._due[0][0]:
            _, what = self._due.pop(0)
            if what == "k":
                said = f"killed worker {_kill_a_worker()}"
            elif what == "r":
                self._cluster.remove_node(self._node, allow_graceful=False)
                said = "removed a node"
            else:
                self._cluster.add_node(num_cpus=1)
                said = "added a node"
            print(f"{said} after {self._parts} parts", flush=True)
        if not self._due:
            self._gate.touch()

    def check_that_all_was_done(self) -> None:
        """Or the run has shown nothing."""
        assert not self._due, f"the job ended before {self._due}"


def _kill_a_worker() -> int:
    """One of those that hold a model, by SIGKILL. Waits for one, should all be about to start."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True)
        pids = [int(pid) for pid in found.stdout.split()]
        with suppress(IndexError, ProcessLookupError):  # there was none, or it has just ended
            pid = random.choice(pids)
            os.kill(pid, signal.SIGKILL)
            return pid
        time.sleep(0.1)
    raise AssertionError("no worker in 120 s")


def with_trouble(
    inputs: str, output: str, rows_per_part: int, count: int, gate: Path
) -> batch.Report:
    """The job on a cluster of three nodes. `gate` is a file that is not there."""
    import ray
    from ray.cluster_utils import Cluster

    parts = -(-count // rows_per_part)
    # The last trouble comes after 5/7 of them, while one worker holds the last part and, in its
    # queue, at most a few others.
    assert parts >= 14, f"{parts} parts; expected 14 or more"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    trouble = Trouble(cluster, node, parts, gate)
    try:
        with mock.patch.object(_job, "PartWriter", partial(LastPartHeld, parts - 1, gate)):
            report = batch.run(
                inputs,
                output,
                MODEL,
                engine="ray",
                rows_per_part=rows_per_part,
                on_progress=trouble.part_done,
            )
        trouble.check_that_all_was_done()
        return report
    finally:
        ray.shutdown()
        cluster.shutdown()


def killed_driver(inputs: str, output: str, rows_per_part: int, kills: int, count: int) -> None:
    """The local job in a process of its own, killed at random moments until it comes to its end."""
    script = (
        "import sys, etseg, etseg.batch\n"
        "etseg.batch.run(sys.argv[1], sys.argv[2], etseg.SELFIE_SEGMENTATION,"
        f" rows_per_part={rows_per_part}, on_progress=lambda d, n: print(d, flush=True))"
    )
    rng = random.Random(1)
    start = time.perf_counter()
    for attempt in range(kills + 1):
        child = subprocess.Popen([sys.executable, "-c", script, inputs, output], stdout=-1)
        if attempt < kills:
            assert child.stdout is not None
            for _ in range(rng.randint(0, max(1, count // rows_per_part // kills))):
                child.stdout.readline()
            time.sleep(rng.uniform(0, 0.5))
            child.kill()
        child.communicate()
        print(f"attempt {attempt}: ended with {child.returncode}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--rows-per-part", type=int, default=25)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--driver", type=int, default=0, metavar="KILLS")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="etseg-chaos-"))
    try:
        broken = make_photos(folder / "photos", arguments.photos)
        report = batch.run(folder / "photos", folder / "local", MODEL)
        print(f"local: {report}", flush=True)
        expected = rows_of(str(folder / "local"))
        assert len(expected) == arguments.photos
        assert sum(report.errors.values()) == broken

        def compare(inputs: str, output: str) -> None:
            if arguments.driver:
                killed_driver(
                    inputs, output, arguments.rows_per_part, arguments.driver, arguments.photos
                )
            else:
                report = with_trouble(
                    inputs, output, arguments.rows_per_part, arguments.photos, folder / "gate"
                )
                print(f"cluster: {report}", flush=True)
            found = rows_of(output)
            missing, other = expected.keys() - found.keys(), found.keys() - expected.keys()
            differing = [name for name in found if found[name] != expected.get(name)]
            print(
                f"{len(found)} rows, each once; {len(missing)} missing, {len(other)} too many, "
                f"{len(differing)} unlike the local engine's"
            )
            if missing or other or differing:
                raise SystemExit(1)

        if arguments.store:
            with store(folder / "photos") as uri:
                compare(f"{uri}/photos", f"{uri}/out")
        else:
            compare(str(folder / "photos"), str(folder / "out"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
