"""concurrency=N: as many forwards at a time, each on its caller's thread alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE, output_of, run
from etseg import ImageSegmentationModule, InvalidConfigError
from programs import picture, program


@pytest.mark.parametrize("wrong", [0, -1, 257, 1.0, True, "2", None])
def test_a_concurrency_that_is_none(wrong: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"concurrency is .*expected an int from 1 to 256"):
        ImageSegmentationModule(concurrency=wrong)


def test_it_is_told_and_kept() -> None:
    assert ImageSegmentationModule().concurrency == 1
    with ImageSegmentationModule.from_model_name("selfie-segmentation", concurrency=2) as module:
        assert module.concurrency == 2
        module.load(etseg.SELFIE_SEGMENTATION_LANDSCAPE)
        assert module.concurrency == 2
    path = program("logits_c3")
    with ImageSegmentationModule.from_custom_model(path, concurrency=np.int64(3)) as module:
        assert (module.concurrency, type(module.concurrency)) == (3, int)


@pytest.mark.parametrize(
    "name",
    [
        "logits_c1",
        "logits_c21",
        "channels_last_c3",
        "quantized_c3",
        "quantized_portable_c3",
        "portable_c21",
        "unplanned_both",
        "dynamic_xnnpack_c3",
        "stride4_c21",
        "identity",
        "described_c3",
    ],
)
def test_each_instance_gives_what_a_single_one_does(name: str) -> None:
    """Delegated or not, planned or not; and each instance has its own buffers."""
    images = [picture(30 + i, 40 + i, seed=i) for i in range(6)]
    with (
        ImageSegmentationModule.from_custom_model(program(name)) as single,
        ImageSegmentationModule.from_custom_model(program(name), concurrency=3) as several,
    ):
        assert several.spec == single.spec
        wanted = list(single.labels)[:1]
        expected = [single.forward(image, wanted, resize=True) for image in images]
        started = threading.Barrier(6, timeout=PATIENCE)

        def forward(i: int) -> bool:
            started.wait()
            results = [several.forward(images[i], wanted, resize=True) for _ in range(20)]
            return all(
                np.array_equal(result[key], expected[i][key], equal_nan=key in wanted)
                for result in results
                for key in result
            )

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(forward, range(6)))


def test_networks_of_real_size(
    selfie: ImageSegmentationModule, photo_of_size: Callable[[int, int], Any]
) -> None:
    images = [photo_of_size(300 + 41 * i, 500 - 23 * i) for i in range(4)]
    expected = [selfie.forward(image, ["SELFIE"], resize=True)["SELFIE"] for image in images]
    with ImageSegmentationModule(concurrency=2) as module:
        module.load(etseg.SELFIE_SEGMENTATION)

        def worst(i: int) -> float:
            results = [module.forward(images[i], ["SELFIE"], resize=True) for _ in range(20)]
            return max(float(np.abs(r["SELFIE"] - expected[i]).max()) for r in results)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(worst, range(4))) == [0.0] * 4


def test_forwards_overlap(photo_of_size: Callable[[int, int], Any]) -> None:
    """Two threads go on until one's inference was seen to run during the other's.

    Where they take turns that is never seen, however the threads are scheduled.
    """
    image = photo_of_size(64, 64)
    latest: list[tuple[int, int]] = [(0, 0), (0, 0)]
    seen = threading.Event()
    with ImageSegmentationModule(concurrency=2) as module:
        module.load(etseg.SELFIE_SEGMENTATION)

        def forward(me: int) -> None:
            end = perf_counter_ns() + int(PATIENCE * 1e9)
            while not seen.is_set() and perf_counter_ns() < end:
                latest[me] = surely_inferring(module, image)
                (begin, end_of_mine), (other_begin, other_end) = latest[me], latest[1 - me]
                if max(begin, other_begin) < min(end_of_mine, other_end):
                    seen.set()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(forward, range(2)))
    assert seen.is_set()


def surely_inferring(module: ImageSegmentationModule, image: Any) -> tuple[int, int]:
    """Between which clock readings the inference of a forward ran, wherever in the call it lay.

    That is none (the first is the greater) where the call took far longer than its stages.
    """
    called = perf_counter_ns()
    timings = module.forward(image).timings
    returned = perf_counter_ns()
    latest_begin = returned - timings.postprocess - timings.inference
    earliest_end = called + timings.preprocess + timings.inference
    return latest_begin, earliest_end


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux's /proc")
@pytest.mark.parametrize("concurrency", [1, 2])
def test_several_instances_start_no_threads(concurrency: int) -> None:
    """Neither the network nor the kernels use a pool, which is not even made for them."""
    before, after, granted = output_of(
        """
        import os, sys
        import cv2
        import numpy as np
        import etseg

        def threads():
            return len(os.listdir("/proc/self/task"))

        image = np.zeros((1500, 2000, 3), np.uint8)
        before = threads()
        for source in (etseg.SELFIE_SEGMENTATION, sys.argv[2]):
            module = etseg.ImageSegmentationModule(concurrency=int(sys.argv[1]))
            module.load(source)
            module.forward(image, list(module.labels)[:1], resize=True)
        print(before, threads(), etseg.get_num_threads())
        """,
        concurrency,
        program("portable_c21"),
    ).split()
    pool = concurrency == 1 and int(granted) > 1
    assert (int(after) > int(before)) == pool


def test_delete_with_calls_in_every_instance(photo_of_size: Callable[[int, int], Any]) -> None:
    """Those that run finish, those that wait are turned away, and nothing of it is left."""
    image = photo_of_size(1080, 1920)
    module = ImageSegmentationModule(concurrency=2)
    for _ in range(5):
        module.load(etseg.SELFIE_SEGMENTATION)
        expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]
        begun = threading.Semaphore(0)

        def forward_until_deleted(
            expected: Any = expected, begun: threading.Semaphore = begun
        ) -> bool:
            right = True
            while True:
                begun.release()
                try:
                    result = module.forward(image, ["SELFIE"], resize=True)
                except etseg.ModuleNotLoadedError:
                    return right
                right = right and np.array_equal(result["SELFIE"], expected)

        with ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(forward_until_deleted) for _ in range(6)]
            for _ in range(12):
                begun.acquire()
            module.delete()
            assert all(future.result() for future in futures)


def test_the_pool_may_be_replaced_once_all_instances_are_gone() -> None:
    assert output_of(
        """
            import etseg
            module = etseg.ImageSegmentationModule(concurrency=3)
            module.load(etseg.SELFIE_SEGMENTATION)
            try:
                etseg.set_num_threads(3)
            except etseg.InvalidStateError as error:
                print("(1 now)" in str(error))
            module.delete()
            etseg.set_num_threads(3)
            print(etseg.get_num_threads())
            """
    ).split() == ["True", "3"]


def test_a_program_that_cannot_be_loaded_leaves_nothing(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(program("logits_c3").read_bytes()[:-2000])
    with ImageSegmentationModule(concurrency=4) as module:
        with pytest.raises(etseg.InvalidModelError):
            module.load(damaged)
        assert not module.is_loaded
        module.load(program("logits_c3"))
        with pytest.raises(etseg.InvalidModelError):
            module.load(damaged)
        assert module.is_loaded
        module.forward(picture())


def test_a_forked_child_is_refused() -> None:
    done = run(
        """
        import os, threading
        import numpy as np
        import etseg

        image = np.zeros((64, 64, 3), np.uint8)
        module = etseg.ImageSegmentationModule(concurrency=2)
        module.load(etseg.SELFIE_SEGMENTATION)
        stop = threading.Event()

        def forward():
            while not stop.is_set():
                module.forward(image)

        threads = [threading.Thread(target=forward) for _ in range(4)]
        for thread in threads:
            thread.start()
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # that this forks with threads
        child = os.fork()
        if child == 0:
            try:
                module.forward(image)
            except etseg.ForkedProcessError:
                os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "7", "")
