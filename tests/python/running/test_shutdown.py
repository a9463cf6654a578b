"""The end of the interpreter, in the middle of everything: in silence, and in bounded time.

``test_lifecycle.py`` has the same for plain forwards in threads.
"""

from __future__ import annotations

import os
import subprocess
import textwrap
import threading

import pytest

from children import PATIENCE, finished, python
from http_server import Fault, serving
from programs import program

HEAD = """
import asyncio, atexit, itertools, os, sys, threading, time
import numpy as np
import etseg

PROGRAM, URL, PHOTO = sys.argv[1:]

module = etseg.ImageSegmentationModule()
module.load(etseg.SELFIE_SEGMENTATION)
image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]

class Slow:
    "An image that says so when it is read."
    def __array__(self, *_, **__):
        os.write(1, b".")
        time.sleep(0.02)
        return image

class Held:
    "One that is not there before it may be."
    begun, go_on = threading.Event(), threading.Event()
    def __array__(self, *_, **__):
        os.write(1, b".")
        Held.begun.set()
        assert Held.go_on.wait(60)
        return image

async def until_one_is_held():
    while not Held.begun.is_set():
        await asyncio.sleep(0.001)

def let_go_at_exit():
    "Once what waits was dropped."
    from etseg._running import threads
    wait_until = threads.Bell.wait_until
    def wrapped(*arguments):
        if threads._is_over:
            Held.go_on.set()
        wait_until(*arguments)
    threads.Bell.wait_until = wrapped

async def again_and_again(image=image):
    while True:
        result = await module.forward_async(image, ["SELFIE"], resize=True)
        assert image is PHOTO or np.array_equal(result["SELFIE"], expected)

def in_a_thread(work, daemon=True):
    thread = threading.Thread(target=work, daemon=daemon)
    thread.start()
    return thread

def map_for_ever():
    for result in module.map(itertools.repeat(image), ["SELFIE"], resize=True):
        pass
"""


def ended(script: str) -> subprocess.CompletedProcess[str]:
    """A script to its end, by itself. The server sends half of a file, and then nothing more."""
    gate = threading.Event()
    photo = program("logits_c3").parents[1] / "astronaut.jpg"
    with serving() as server:
        url = server.add("/m.pte", bytes(1 << 20), always=Fault(cut=0.5, hold=gate))
        command = python(HEAD + textwrap.dedent(script), program("logits_c3"), url, photo)
        try:
            return finished(*command, patience=PATIENCE / 3)  # the server waits longer
        finally:
            gate.set()


#: Of a module's forward_async(): one for its model, and two that read images meanwhile.
THREADS = 3

#: What is at work when the end comes.
WORK = {
    "a live module": "",
    "a loop in a daemon thread": """
        for _ in range(3):
            in_a_thread(lambda: asyncio.run(again_and_again()))
        time.sleep(0.05)
        """,
    "files decoded in a daemon thread's loop": """
        async def main():
            await asyncio.gather(*(again_and_again(PHOTO) for _ in range(20)))
        in_a_thread(lambda: asyncio.run(main()))
        time.sleep(0.05)
        """,
    "a loop that was left": """
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # asyncio's own: tasks that are pending
        tasks = [loop.create_task(again_and_again()) for _ in range(20)]
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()
        """,
    "a load of a daemon thread's loop": """
        got = threading.Event()
        load = lambda: asyncio.run(module.load_async(URL, lambda progress: progress and got.set()))
        in_a_thread(load)
        got.wait()
        """,
    "a load of a daemon thread": """
        got = threading.Event()
        in_a_thread(lambda: module.load(URL, lambda progress: progress and got.set()))
        got.wait()
        """,
    "a stream that is open": """
        stream = module.map(itertools.repeat(image), look_ahead=8)
        next(stream)
        """,
    "a stream in a daemon thread": """
        in_a_thread(map_for_ever)
        time.sleep(0.05)
        """,
    "a stream of slow images": """
        stream = module.map([Slow()] * 1000, look_ahead=1000)
        next(stream)
        """,
    "all of it": """
        stream = module.map(itertools.repeat(image), look_ahead=8)
        next(stream)
        in_a_thread(map_for_ever)
        for _ in range(2):
            in_a_thread(lambda: asyncio.run(again_and_again()))
            in_a_thread(lambda: asyncio.run(again_and_again(PHOTO)))
        got = threading.Event()
        in_a_thread(lambda: module.load(URL, lambda progress: progress and got.set()))
        got.wait()
        """,
}

#: How it comes; exit code, and the last line on stderr.
ENDS = {
    "end of main": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "error": ("raise ZeroDivisionError('ours')", 1, "ZeroDivisionError: ours"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("work", WORK)
def test_the_end(work: str, end: str) -> None:
    """Exit code and stderr are those of the end, whatever was at work."""
    line, code, message = ENDS[end]
    done = ended(textwrap.dedent(WORK[work]) + line)
    assert done.returncode == code, done
    if not message:
        assert done.stderr == ""
    else:
        assert done.stderr.startswith("Traceback"), done
        assert done.stderr.endswith(f"{message}\n"), done
        assert done.stderr.count("Traceback") == 1, done


@pytest.mark.parametrize("end", ["", "raise ZeroDivisionError('ours')"])
def test_a_loop_that_ends_with_tasks(end: str) -> None:
    """asyncio.run() cancels them, and what has not begun never does."""
    done = ended(
        f"""
        async def main():
            for _ in range(1000):
                tasks.append(asyncio.create_task(module.forward_async(Held())))
            await until_one_is_held()
            {end or "pass"}

        tasks = []
        try:
            asyncio.run(main())
        finally:
            assert all(task.cancelled() for task in tasks)
            Held.go_on.set()
        """
    )
    assert done.returncode == (1 if end else 0)
    assert done.stderr.endswith("ZeroDivisionError: ours\n" if end else "")
    assert done.stderr.count("Traceback") == (1 if end else 0)
    assert 1 <= done.stdout.count(".") <= THREADS


def test_calls_that_wait_at_the_end_are_dropped() -> None:
    """Also where nobody cancels them."""
    done = ended(
        """
        let_go_at_exit()
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        tasks = [loop.create_task(module.forward_async(Held())) for _ in range(1000)]
        loop.run_until_complete(until_one_is_held())
        loop.close()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert 1 <= done.stdout.count(".") <= THREADS


def test_an_ordinary_thread_goes_on_to_its_end() -> None:
    """After the main thread's: its loop starts threads and gets results as before."""
    done = ended(
        """
        async def main():
            threading.main_thread().join()
            for _ in range(3):
                results = await asyncio.gather(
                    *(module.forward_async(image, ["SELFIE"], resize=True) for _ in range(10))
                )
                assert all(np.array_equal(result["SELFIE"], expected) for result in results)
            await module.load_async(PROGRAM)
            for result in module.map([image] * 10):
                assert result.size == (24, 40)
            print("done")

        in_a_thread(lambda: asyncio.run(main()), daemon=False)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_call_at_the_end() -> None:
    """In an atexit handler all of them work, although Python 3.12 starts no more threads then."""
    done = ended(
        """
        def last():
            result = module.forward(image, ["SELFIE"], resize=True)
            assert np.array_equal(result["SELFIE"], expected)
            assert sum(1 for _ in module.map([image] * 3)) == 3
            result = asyncio.run(module.forward_async(image, ["SELFIE"], resize=True))
            assert np.array_equal(result["SELFIE"], expected)
            print("done")

        atexit.register(last)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_call_after_the_end() -> None:
    """In an atexit handler that comes after ours every call is refused, and nobody waits."""
    done = ended(
        """
        def last():
            calls = (
                lambda: module.forward(image),
                lambda: asyncio.run(module.forward_async(image)),
                lambda: asyncio.run(module.load_async(PROGRAM)),
                lambda: list(module.map([image] * 3)),
            )
            for call in calls:
                try:
                    call()
                except etseg.ModuleNotLoadedError as error:
                    assert "shutting down" in str(error)
                    print("refused")

        # Handlers are called last in, first out.
        from etseg._running import at_exit as _exit
        atexit.unregister(_exit._close_all)
        atexit.register(last)
        atexit.register(_exit._close_all)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 4 * "refused\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_while_its_parent_works() -> None:
    done = ended(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of the fork
        for _ in range(3):
            in_a_thread(lambda: asyncio.run(again_and_again()))
        in_a_thread(map_for_ever)
        time.sleep(0.05)
        codes = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                sys.exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(codes)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[7, 7, 7, 7, 7]\n", "")
