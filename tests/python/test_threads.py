"""One module, many threads; and what else must go on while the native code works."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import etseg
from children import PATIENCE, output_of
from etseg import ImageSegmentationModule, _native
from programs import picture, program

THREADS = 8
FORWARDS = 50


def test_threads_get_what_a_serial_caller_gets(
    selfie: ImageSegmentationModule, photo_of_size: Callable[[int, int], Any]
) -> None:
    """Each thread its own image, size and classes; bit for bit."""
    images = [photo_of_size(120 + 31 * i, 200 - 7 * i) for i in range(THREADS)]
    images = [np.roll(image, 3 * i, axis=2) for i, image in enumerate(images)]
    classes: list[list[str]] = [["SELFIE"], [], ["SELFIE", "BACKGROUND"], ["BACKGROUND"]]

    def forward(i: int) -> list[Any]:
        result = selfie.forward(images[i], classes[i % 4], resize=i % 2 == 0)
        return [result[key] for key in result]

    expected = [forward(i) for i in range(THREADS)]
    start = threading.Barrier(THREADS, timeout=PATIENCE)

    def repeat(i: int) -> int:
        start.wait()
        return sum(all(map(np.array_equal, forward(i), expected[i])) for _ in range(FORWARDS))

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(repeat, range(THREADS))) == [FORWARDS] * THREADS


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """A thread that counts whenever it can have the GIL, which it gets from nobody by force."""
    count = 0
    stop = threading.Event()

    def run() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0)  # gives the GIL back

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: count
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()


def progress_of(count: Callable[[], int], call: Callable[[], object]) -> int:
    """By how much the count grows during a call."""
    before = count()
    call()
    return count() - before


def goes_on(count: Callable[[], int], call: Callable[[], object]) -> bool:
    """Whether it grows during a call. The system need not let the counter run at the first one."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if progress_of(count, call) >= 10:
            return True
    return False


def test_the_gil_is_free_during_native_work(
    selfie: ImageSegmentationModule, photo_of_size: Callable[[int, int], Any]
) -> None:
    image = photo_of_size(1080, 1920)
    with counting() as count:
        for _ in range(50):
            assert progress_of(count, lambda: sum(range(100_000))) == 0  # this one keeps it
        assert goes_on(count, lambda: selfie.forward(image, ["SELFIE"], resize=True))
        path = str(program("logits_c300").resolve())
        assert goes_on(count, lambda: [_native.Model(path, 1) for _ in range(50)])


def test_load_and_delete_while_others_forward(
    fresh_selfie: ImageSegmentationModule, photo_of_size: Callable[[int, int], Any]
) -> None:
    """A call gets the maps of one of the models, whole; after delete() it gets the error."""
    module = fresh_selfie
    image = photo_of_size(200, 300)
    expected = [module.forward(image, ["SELFIE"], resize=True)["SELFIE"]]
    module.load(etseg.SELFIE_SEGMENTATION_LANDSCAPE)
    expected.append(module.forward(image, ["SELFIE"], resize=True)["SELFIE"])
    first, second = expected
    assert not np.array_equal(first, second)
    deleted = threading.Event()
    done = [0] * 4

    def forward_until_deleted(i: int) -> str:
        while True:
            try:
                mask = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]
            except etseg.ModuleNotLoadedError:
                return "deleted" if deleted.is_set() else "refused before delete()"
            if not any(np.array_equal(mask, one) for one in expected):
                return "maps of no model"
            done[i] += 1

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(forward_until_deleted, i) for i in range(4)]
        for i in range(10):
            module.load((etseg.SELFIE_SEGMENTATION, etseg.SELFIE_SEGMENTATION_LANDSCAPE)[i % 2])
        while not all(done) and not any(future.done() for future in futures):
            time.sleep(0.001)
        deleted.set()
        module.delete()
        assert [future.result() for future in futures] == ["deleted"] * 4


def test_a_waiting_call_is_served_by_the_new_model(
    fresh_selfie: ImageSegmentationModule, photo_of_size: Callable[[int, int], Any]
) -> None:
    """Twelve calls stand in a queue when the model is replaced: none of them is turned away."""
    module = fresh_selfie
    image = photo_of_size(1080, 1920)
    started = threading.Barrier(13, timeout=PATIENCE)

    def forward() -> tuple[int, int]:
        started.wait()
        return module.forward(image, ["SELFIE"], resize=False).size

    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(forward) for _ in range(12)]
        started.wait()
        module.load(program("sigmoid_c1"))
        sizes = [future.result() for future in futures]
    assert set(sizes) <= {(256, 256), (24, 40)}
    assert module.forward(image).size == (24, 40)


def test_modules_are_independent() -> None:
    """Each thread loads, forwards and deletes its own."""

    def work(i: int) -> int:
        right = 0
        for n in range(10):
            name = ("logits_c3", "portable_c3", "stride4_c3")[(i + n) % 3]
            with ImageSegmentationModule() as module:
                module.load(program(name))
                size = module.forward(picture(seed=i), [0, 1, 2], resize=True).size
                right += size == (24, 40)
        return right

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [10] * 4


def test_log_lines_reach_logging(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="etseg")
    with pytest.raises(etseg.UnsupportedModelError):
        ImageSegmentationModule().load(program("missing_operator"))
    lines = [record.getMessage() for record in caplog.records if record.name == "etseg"]
    assert any("etsegtest::nowhere.out" in line for line in lines)
    assert {r.levelno for r in caplog.records if "nowhere" in r.getMessage()} == {logging.ERROR}


def test_a_good_load_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        module.forward(picture())
    assert caplog.records == []


def test_a_broken_log_handler_is_not_the_callers_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: seen.append(info.exc_value))

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError(record)

    handler = Broken()
    logging.getLogger("etseg").addHandler(handler)
    try:
        with pytest.raises(etseg.UnsupportedModelError):
            ImageSegmentationModule().load(program("missing_operator"))
    finally:
        logging.getLogger("etseg").removeHandler(handler)
    assert seen
    assert all(isinstance(error, ZeroDivisionError) for error in seen)


def test_an_interrupt_within_a_log_handler_reaches_the_caller() -> None:
    class Interrupted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise KeyboardInterrupt(record)

    handler = Interrupted()
    logging.getLogger("etseg").addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            ImageSegmentationModule().load(program("missing_operator"))
    finally:
        logging.getLogger("etseg").removeHandler(handler)


def test_nothing_is_printed() -> None:
    """Neither by Python nor by the runtime, whose logger knows only stderr: at the descriptors."""
    output = output_of(
        """
        import sys, numpy, etseg
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)
        module.forward(numpy.zeros((48, 64, 3), numpy.uint8), ["SELFIE"], resize=True)
        refused = 0
        for path in sys.argv[1:]:
            try:
                module.load(path)
            except etseg.EtsegError:
                refused += 1
        module.delete()
        assert refused == len(sys.argv) - 1, refused
        """,
        *map(program, ("missing_operator", "bad_delegate", "none_output", "no_forward")),
        __file__,
    )
    assert output == ""
