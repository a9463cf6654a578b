"""How processes and modules end: forks, exits, interrupts, the collector. Nothing may hang."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import etseg
from children import PATIENCE, output_of
from etseg import ImageSegmentationModule
from programs import picture, program

#: What most scripts begin with: a loaded module and an image.
LOADED = """
import gc, os, signal, sys, threading, time, warnings
import numpy as np
import etseg
module = etseg.ImageSegmentationModule()
module.load(etseg.SELFIE_SEGMENTATION)
image = np.arange(300 * 400 * 3, dtype=np.uint32).astype(np.uint8).reshape(300, 400, 3)
expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]

def forward():
    return module.forward(image, ["SELFIE"], resize=True)["SELFIE"]

def forward_for_ever():
    while True:
        forward()

def busy(threads):
    for _ in range(threads):
        threading.Thread(target=forward_for_ever, daemon=True).start()
    time.sleep(0.05)
"""

#: A fork, whose child reports by its exit code; a child that hangs is ended.
FORKED = """
# Python 3.12 warns of what is tested here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

def in_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        def refused(call):
            try:
                call()
            except etseg.ForkedProcessError as error:
                assert isinstance(error, RuntimeError)
                assert str(os.getppid()) in str(error), error
                assert "spawn" in str(error), error
            else:
                raise AssertionError(call)
        work(refused)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_is_refused_and_ends_cleanly() -> None:
    output = output_of(
        LOADED
        + FORKED
        + """
def work(refused):
    refused(forward)
    refused(module.warmup)
    refused(lambda: module.load(etseg.SELFIE_SEGMENTATION))
    refused(lambda: etseg.ImageSegmentationModule().load(etseg.SELFIE_SEGMENTATION))
    module.delete()
    try:
        forward()
    except etseg.ModuleNotLoadedError:
        pass

in_child(work)
in_child(lambda refused: refused(forward))  # its module is alive when it exits
assert np.array_equal(forward(), expected)  # the parent's is as before
"""
    )
    assert output.split() == ["0", "0"]


def test_a_fork_during_a_forward() -> None:
    """Locks are held by threads that the child does not have; it neither waits nor dies."""
    output = output_of(
        LOADED
        + FORKED
        + """
busy(3)
for _ in range(5):
    in_child(lambda refused: refused(forward))
    in_child(lambda refused: module.delete())
"""
    )
    assert output.split() == ["0"] * 10


def test_a_fork_before_the_first_load_is_free() -> None:
    output = output_of(
        """
        import os, signal, sys, numpy, etseg
        child = os.fork()
        if child == 0:
            signal.alarm(60)
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)
        assert module.forward(numpy.zeros((9, 9, 3), numpy.uint8)).size == (256, 256)
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert output == "0"


def test_multiprocessing_with_spawn(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(
        """
import multiprocessing
import numpy as np
import etseg

module = None

def share(seed):
    global module
    if module is None:
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)
    image = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return module.forward(image, ["SELFIE"])["SELFIE"]

if __name__ == "__main__":
    expected = [share(seed) for seed in range(4)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for one, other in zip(pool.map(share, range(4)), expected):
            assert np.array_equal(one, other)
        pool.close()
        pool.join()
    print("done")
"""
    )
    assert output_of(script) == "done"


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "busy(1)",
        "busy(12)",
        "busy(2); module.delete()",
        "busy(2); del module, forward",
        "cycle = [module]; cycle.append(cycle); del module; sys.exit()",
        "import atexit; atexit.register(lambda: print(end=''.join('x' for _ in forward()[:0])))",
        "threading.Thread(target=lambda: [forward() for _ in range(30)]).start()",
    ],
    ids=[
        "live module",
        "sys.exit",
        "one daemon thread",
        "many waiting threads",
        "deleted meanwhile",
        "names gone meanwhile",
        "in a cycle",
        "forward in atexit",
        "ordinary thread",
    ],
)
def test_the_interpreter_exits_in_silence(end: str) -> None:
    """Exit code 0 and nothing on stderr, within the patience of output_of()."""
    if end.startswith(("busy(2); module.delete", "busy(2); del module")):
        # Threads that are refused end with an error of their own; that is theirs to report.
        end = "threading.excepthook = lambda args: None; " + end
    assert output_of(LOADED + end) == ""


def test_waiting_threads_learn_of_the_exit() -> None:
    """Daemon threads may be cut off by the exit, but none of them gets wrong maps."""
    output = output_of(
        LOADED
        + """
def run():
    while True:
        try:
            if not np.array_equal(forward(), expected):
                os.write(1, b"wrong maps\\n")
        except etseg.ModuleNotLoadedError:
            return

for _ in range(8):
    threading.Thread(target=run, daemon=True).start()
time.sleep(0.1)
"""
    )
    assert output == ""


def test_an_interrupt_leaves_the_module_usable() -> None:
    output = output_of(
        LOADED
        + """
import _thread
try:
    threading.Timer(0.1, _thread.interrupt_main).start()
    while True:
        forward()
except KeyboardInterrupt:
    print("interrupted")
assert np.array_equal(forward(), expected)
"""
    )
    assert output == "interrupted"


def test_import_is_light() -> None:
    """No OpenCV before there is an image to decode, no torch ever."""
    output = output_of(
        """
        import sys, numpy, etseg
        module = etseg.ImageSegmentationModule()
        module.load(etseg.SELFIE_SEGMENTATION)
        module.forward(numpy.zeros((8, 8, 3), numpy.uint8), ["SELFIE"], resize=True)
        heavy = {"cv2", "torch", "executorch", "PIL", "click", "multiprocessing"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert output == "[]"


def test_the_collector_frees_a_module_in_a_cycle() -> None:
    class Owner:
        def __init__(self) -> None:
            self.module = ImageSegmentationModule()
            self.itself = self

    owner = Owner()
    owner.module.load(program("logits_c3"))
    module = weakref.ref(owner.module)
    session = weakref.ref(owner.module._session)  # type: ignore[arg-type]
    del owner
    gc.collect()
    assert module() is None
    assert session() is None


def test_a_module_that_nobody_names_finishes_its_call() -> None:
    """The thread holds what it runs on; the collector gets the rest."""
    image = picture(300, 400)
    module = ImageSegmentationModule()
    module.load(etseg.SELFIE_SEGMENTATION)
    expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]
    results: list[object] = []

    def forward(module: ImageSegmentationModule) -> None:
        for _ in range(20):
            results.append(module.forward(image, ["SELFIE"], resize=True)["SELFIE"])

    thread = threading.Thread(target=forward, args=(module,))
    thread.start()
    del module
    while thread.is_alive():
        gc.collect()
    assert len(results) == 20
    for result in results:
        np.testing.assert_array_equal(result, expected)  # type: ignore[arg-type]


def test_delete_during_a_forward() -> None:
    """The call that runs gets its maps; that nobody waits for it is for the C++ tests to prove."""
    image = picture(1080, 1920)
    module = ImageSegmentationModule()
    module.load(etseg.SELFIE_SEGMENTATION)
    expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]
    entered = threading.Barrier(2, timeout=PATIENCE)

    def forward() -> object:
        entered.wait()
        try:
            return module.forward(image, ["SELFIE"], resize=True)["SELFIE"]
        except etseg.ModuleNotLoadedError:
            return None

    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            module.load(etseg.SELFIE_SEGMENTATION)
            future = pool.submit(forward)
            entered.wait()
            module.delete()
            assert not module.is_loaded
            result = future.result()
            if result is not None:
                np.testing.assert_array_equal(result, expected)  # type: ignore[call-overload]
