"""How many threads the models and kernels of this process run on."""

from __future__ import annotations

import operator

from . import _native
from ._errors import InvalidUserInputError


def get_num_threads() -> int:
    """The number of threads that one forward uses; at first, one for each core."""
    return _native.thread_count()


def set_num_threads(count: int) -> None:
    """Sets the number of threads, for all modules of this process. Results do not depend on it.

    Raises:
        InvalidStateError: a model is loaded; programs keep the threads they were loaded with.
        InvalidUserInputError: `count` is not an integer from 1 to 1024.
        ForkedProcessError: this process was forked from one that had used etseg.
    """
    try:
        index = operator.index(count)
    except TypeError:
        raise InvalidUserInputError(
            f"the number of threads is {count!r}; expected an integer, 1 or more"
        ) from None
    _native.set_thread_count(max(-1, min(index, 1 << 30)))
