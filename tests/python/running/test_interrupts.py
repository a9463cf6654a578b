"""SIGINT in the middle of everything: KeyboardInterrupt comes out, and the module is usable."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
from pathlib import Path

import pytest

from children import python, started
from http_server import Fault, serving
from programs import program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")

HEAD = """
import asyncio, itertools, os, sys, threading, time
import numpy as np
import etseg

PROGRAM, URL, CONCURRENCY = sys.argv[1], sys.argv[2], int(sys.argv[3])

module = etseg.ImageSegmentationModule(concurrency=CONCURRENCY)
module.load(etseg.SELFIE_SEGMENTATION)
image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
expected = module.forward(image, ["SELFIE"], resize=True)["SELFIE"]

def forward():
    return module.forward(image, ["SELFIE"], resize=True)["SELFIE"]

def others(number):
    "Threads that keep the model busy."
    def run():
        while not stop.is_set():
            forward()
    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads

stop = threading.Event()
crowd = []

def ready():
    # In one write: what an interrupt leaves undone is no text without its end.
    os.write(1, b"ready\\n")
"""

#: What is interrupted: for ever at it, until the signal comes.
WORK = {
    "a forward": """
        ready()
        while True:
            forward()
        """,
    "waiting for a turn": """
        crowd = others(6)
        ready()
        while True:
            forward()
        """,
    "map": """
        ready()
        for result in module.map(itertools.repeat(image), ["SELFIE"], resize=True):
            assert np.array_equal(result["SELFIE"], expected)
        """,
    "map, in a with statement": """
        ready()
        with module.map(itertools.repeat(image), ["SELFIE"], resize=True) as results:
            for result in results:
                assert np.array_equal(result["SELFIE"], expected)
        """,
    "map, while the source is asked": """
        def images():
            yield image
            ready()
            while True:
                time.sleep(0.001)
        for result in module.map(images()):
            pass
        """,
    "loading": """
        ready()
        while True:
            module.load(etseg.SELFIE_SEGMENTATION)
        """,
    "a download": """
        module.load(URL, lambda progress: progress and ready())
        """,
    "forward_async": """
        async def main():
            async def again():
                while True:
                    await module.forward_async(image, ["SELFIE"], resize=True)
            ready()
            await asyncio.gather(*(again() for _ in range(6)))
        asyncio.run(main())
        """,
    "a download of load_async": """
        asyncio.run(module.load_async(URL, lambda progress: progress and ready()))
        """,
}

#: Then: is everything as it was?
AFTERWARDS = """
except KeyboardInterrupt:
    stop.set()
    for thread in crowd:
        thread.join()
    assert np.array_equal(forward(), expected)
    os.write(1, b"usable\\n")
"""


def interrupted(script: str, concurrency: int, cache: Path) -> tuple[int, str, str]:
    """Exit code, output and stderr of a script that gets SIGINT once it says that it is ready."""
    gate = threading.Event()
    with serving() as server:
        body = program("logits_c3").read_bytes() * 100
        url = server.add("/m.pte", body, always=Fault(cut=0.5, hold=gate))
        command = python(script, program("logits_c3"), url, concurrency)
        try:
            with started(*command, ETSEG_CACHE=str(cache)) as process:
                assert process.stdout is not None
                line = process.stdout.readline()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate()
        finally:
            gate.set()
        assert line == "ready\n", err
        return process.returncode, out, err


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("work", WORK)
def test_what_was_interrupted_can_go_on(work: str, concurrency: int, tmp_path: Path) -> None:
    """And the process ends as if nothing had been; nobody waits for a download that hangs."""
    body = textwrap.indent(textwrap.dedent(WORK[work]), "    ")
    code, out, err = interrupted(f"{HEAD}\ntry:\n{body}\n{AFTERWARDS}", concurrency, tmp_path)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "usable"


@pytest.mark.parametrize("work", WORK)
def test_what_nobody_catches_ends_the_process(work: str, tmp_path: Path) -> None:
    """As the signal would have; the traceback of KeyboardInterrupt is all there is to read."""
    script = HEAD + textwrap.dedent(WORK[work])
    script = script.replace("(target=run)", "(target=run, daemon=True)")
    code, out, err = interrupted(script, 1, tmp_path)
    assert code == -signal.SIGINT
    assert out.replace("ready\n", "") == ""
    assert err.startswith("Traceback")
    assert err.endswith("KeyboardInterrupt\n")
    assert "Exception ignored" not in err
