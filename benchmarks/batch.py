"""Jobs of etseg.batch against module.map with as many instances, on the same JPEGs of 1080p.

    python benchmarks/batch.py [--photos 400] [--engine local,ray] [--nodes 1,2]

Prints images a second of each, and the ratio to module.map in the same run. For Ray it is the
steady state: from the first part that is done to the last; the start of the cluster and of its
workers stands beside it. Each node has one CPU.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np

import etseg
from etseg import batch

PHOTO = Path(__file__).resolve().parents[1] / "tests" / "data" / "astronaut.jpg"
MODEL = etseg.SELFIE_SEGMENTATION


def make_photos(folder: Path, count: int) -> None:
    photo = cv2.imread(str(PHOTO))
    assert photo is not None
    photo = cv2.resize(photo, (1920, 1080))
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:05}.jpg"), np.roll(photo, 3 * number, 1))


def of_map(folder: Path, instances: int) -> float:
    """Images a second of module.map, and of what a row needs: areas and run lengths."""
    paths = sorted(folder.iterdir())
    with etseg.ImageSegmentationModule(concurrency=instances) as module:
        module.load(MODEL)
        module.warmup()
        start = time.perf_counter()
        for result in module.map(paths, resize=True):
            result.areas()
        return len(paths) / (time.perf_counter() - start)


class Steady:
    """When parts came to be done."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.first: tuple[float, int] | None = None
        self.last = (self.begin, 0)

    def told(self, done: int, _total: int) -> None:
        self.last = (time.perf_counter(), done)
        self.first = self.first or self.last

    @property
    def startup(self) -> float:
        assert self.first is not None
        return self.first[0] - self.begin

    @property
    def rate(self) -> float:
        """Images a second, from the first part to the last."""
        assert self.first is not None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


def of_local(folder: Path, out: Path, outputs: list[str]) -> Steady:
    steady = Steady()
    batch.run(folder, out, MODEL, outputs=outputs, on_progress=steady.told, rows_per_part=32)
    return steady


def of_ray(folder: Path, out: Path, outputs: list[str], nodes: int) -> Steady:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    steady = Steady()
    try:
        batch.run(
            folder, out, MODEL, outputs=outputs, engine="ray", on_progress=steady.told,
            rows_per_part=16,
        )  # fmt: skip
    finally:
        ray.shutdown()
        cluster.shutdown()
    return steady


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--nodes", default="1,2")
    parser.add_argument("--outputs", default="areas")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    outputs = arguments.outputs.split(",")
    cores = etseg.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="etseg-batch-") as name:
        photos = Path(name) / "photos"
        photos.mkdir()
        make_photos(photos, arguments.photos)
        peer = [of_map(photos, cores) for _ in range(arguments.rounds)]
        print(f"module.map, {cores} instances: {median(peer):.1f} images/s")
        out = Path(name) / "out"
        if "local" in arguments.engine:
            found = []
            for _ in range(arguments.rounds):
                shutil.rmtree(out, ignore_errors=True)
                found.append(of_local(photos, out, outputs).rate)
            print(f"local: {median(found):.1f} images/s, {median(found) / median(peer):.2f} of map")
        if "ray" in arguments.engine:
            rates = {}
            for nodes in map(int, arguments.nodes.split(",")):
                shutil.rmtree(out, ignore_errors=True)
                steady = of_ray(photos, out, outputs, nodes)
                rates[nodes] = steady.rate
                print(
                    f"ray, {nodes} nodes of one CPU: {steady.rate:.1f} images/s, "
                    f"{steady.rate / median(peer):.2f} of map; first part after "
                    f"{steady.startup:.1f} s"
                )
            if {1, 2} <= rates.keys():
                print(f"growth from 1 to 2 nodes: {rates[2] / rates[1]:.2f}")


if __name__ == "__main__":
    main()
