"""How many threads the models and kernels of this process run on."""

from __future__ import annotations

import operator

from . import _native
from ._cpus import MOST_THREADS, count_cpus
from ._errors import InvalidUserInputError
from ._logs import logger
from ._messages import brief


def get_num_threads() -> int:
    """The number of threads that one forward uses.

    At first as many as this process may make use of: one for each physical core that it may run on,
    no more than the quota of its cgroup, rounded up; or what the environment variable
    ETSEG_NUM_THREADS says. ``etseg doctor`` tells why.

    Raises:
        InvalidConfigError: ETSEG_NUM_THREADS is no number from 1 to 1024.
        ForkedProcessError: this process was forked from one that had used etseg.
    """
    _start()
    return _native.thread_count()


def set_num_threads(count: int) -> None:
    """Sets the number of threads, for all modules of this process. Results do not depend on it.

    Raises:
        InvalidStateError: a model is loaded; programs keep the threads they were loaded with.
        InvalidUserInputError: `count` is not an integer from 1 to 1024, or more than the system
            grants this process. The number is then what it was.
        ForkedProcessError: this process was forked from one that had used etseg.
    """
    try:
        index = operator.index(count)
    except TypeError:
        raise InvalidUserInputError(
            f"the number of threads is {count!r}; expected an integer, 1 or more"
        ) from None
    if not 1 <= index <= MOST_THREADS:  # of any size: the native code takes those of C
        raise InvalidUserInputError(
            f"the number of threads is {brief(index)}; expected 1 to {MOST_THREADS}"
        )
    _native.set_thread_count(index)


def _start() -> None:
    if _native.thread_count() == 0:
        _native.start_threads(count_cpus().threads)


def prepare(instances: int) -> None:
    """Before a model is loaded: one instance runs on the threads, several on their callers' own.

    Raises:
        InvalidConfigError: ETSEG_NUM_THREADS is no number from 1 to 1024.
        ForkedProcessError: this process was forked from one that had used etseg.
    """
    if instances == 1:
        _start()
        return
    cpus = count_cpus()
    if instances > cpus.threads:
        logger().info(
            "concurrency is %d, but %d threads can run here at the same time (%s): more instances "
            "take memory, and make nothing faster",
            instances,
            cpus.threads,
            cpus.reason,
        )
