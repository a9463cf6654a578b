"""The pool has the threads it says it has: as many as were counted, asked for, or granted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from children import output_of
from programs import program

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="asks Linux's /proc for the threads"
)

_PRELUDE = """
import logging, os, resource, sys, time
from logging.handlers import BufferingHandler

import numpy as np

import etseg

def threads():
    return len(os.listdir("/proc/self/task"))

def threads_are(wanted):
    "One that was joined is listed for a moment more; those that are too many stay."
    end = time.monotonic() + 60
    while threads() != wanted and time.monotonic() < end:
        time.sleep(0.001)
    return threads() == wanted

def forward(**options):
    with etseg.ImageSegmentationModule(**options) as module:
        module.load(sys.argv[1])
        return module.forward(np.full((48, 64, 3), 100, np.uint8)).argmax.sum()

logged = BufferingHandler(1000)
logging.getLogger("etseg").addHandler(logged)
logging.getLogger("etseg").setLevel(logging.INFO)

def messages():
    return [record.getMessage() for record in logged.buffer]
"""

# A thread needs address space for its stack, which root can be denied too.
_LIMITED = """
from contextlib import contextmanager
from pathlib import Path

@contextmanager
def room_for_stacks(count):
    stack = min(resource.getrlimit(resource.RLIMIT_STACK)[0] % 2**63, 8 << 20)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    # Half a stack more: what Python itself needs meanwhile changes no count.
    size = pages * resource.getpagesize() + stack // 2 + count * stack
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def refused(count):
    try:
        etseg.set_num_threads(count)
    except etseg.InvalidUserInputError as error:
        words = str(error).split()
        assert f"{count}," in words and "grants" in words, error
        return int(words[words.index("process") + 1].rstrip(":"))
    raise AssertionError(etseg.get_num_threads())
"""


def run(script: str, threads: str | None = None) -> list[str]:
    """The words that a script prints; `threads` is what ETSEG_NUM_THREADS says."""
    return output_of(
        _PRELUDE + _LIMITED + script, program("logits_c3"), ETSEG_NUM_THREADS=threads
    ).split()


def test_the_pool_starts_with_the_threads_that_were_counted() -> None:
    """And with no others, which would have to end first."""
    script = """
before = threads()
print(etseg.get_num_threads(), threads_are(before + 4))
assert not any("Resetting" in message for message in messages()), messages()
"""
    assert run(script, "5") == ["5", "True"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_pool_follows_the_affinity() -> None:
    script = """
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
before = threads()
forward()
print(etseg.get_num_threads(), threads_are(before))
"""
    assert run(script) == ["1", "True"]


def test_a_variable_that_is_no_number_is_an_error_of_the_first_use() -> None:
    script = """
for use in etseg.get_num_threads, forward, lambda: forward(concurrency=2):
    try:
        use()
    except etseg.InvalidConfigError as error:
        print("ETSEG_NUM_THREADS" in str(error))
etseg.set_num_threads(2)  # says it itself
print(etseg.get_num_threads())
"""
    assert run(script, "many") == ["True", "True", "True", "2"]


def test_more_threads_than_the_system_grants() -> None:
    script = """
etseg.set_num_threads(3)
expected, others = forward(), threads() - 2
with room_for_stacks(5):
    granted = refused(64)
    print(3 < granted < 64)
    print(etseg.get_num_threads(), threads_are(others + 2))
    etseg.set_num_threads(granted)
    print(etseg.get_num_threads() == granted, threads_are(others + granted - 1))
    print(refused(granted + 20) >= granted)
print(etseg.get_num_threads() == granted, forward() == expected)
etseg.set_num_threads(64)
print(etseg.get_num_threads(), threads_are(others + 63), forward() == expected)
"""
    assert run(script) == ["True", "3", *["True"] * 6, "64", "True", "True"]


def test_no_thread_is_granted() -> None:
    script = """
before = threads()
with room_for_stacks(0):
    print(refused(64))
    print(etseg.get_num_threads())
forward()
print(threads_are(before))
print(any("1 of 16 threads" in message for message in messages()))
"""
    assert run(script, "16") == ["1", "1", "True", "True"]


def test_more_instances_than_cpus_are_hinted_at() -> None:
    script = """
forward(concurrency=2)
print(any("concurrency" in message for message in messages()))
forward(concurrency=3)
print(any("concurrency is 3, but 2 threads" in message for message in messages()))
"""
    assert run(script, "2") == ["False", "True"]


def test_a_child_forked_before_the_first_use_may_use_it() -> None:
    script = """
from etseg import _native
_native.runtime_info()
child = os.fork()
if child == 0:
    forward()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(script) == ["0"]
