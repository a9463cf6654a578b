"""What arguments of results may be, and what is said where memory does not suffice."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from numbers import Real
from typing import Any, ParamSpec, TypeVar

from etseg._errors import InvalidUserInputError, OutOfMemoryError

P = ParamSpec("P")
R = TypeVar("R")


def within(name: str, value: object, most: float) -> float:
    """A number from 0 to `most`, as a float; `most` may be infinite, the number may not.

    Raises:
        InvalidUserInputError: it is none.
    """
    number: Any = value
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= number <= most:
        raise InvalidUserInputError(
            f"{name} is {value!r}; expected a number "
            + (f"from 0 to {most:g}" if math.isfinite(most) else "of pixels, 0 or more")
        )
    if number == math.inf:
        raise InvalidUserInputError(f"{name} is {value!r}; expected a finite number")
    try:
        return float(number)
    except OverflowError:  # of whole numbers and fractions
        return sys.float_info.max


def needs_memory(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Of a function that makes `what`: where memory does not suffice, the error says so."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*arguments: P.args, **options: P.kwargs) -> R:
            with _told(what):
                return function(*arguments, **options)

        return checked

    return decorate


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if not isinstance(error, MemoryError) and not _of_opencv(error):
            raise
        raise OutOfMemoryError(
            f"there is not enough memory for {what}; with resize=False, results take less"
        ) from error


def _of_opencv(error: Exception) -> bool:
    """Whether OpenCV lacked memory: it has one class for all errors."""
    cv2: Any = sys.modules.get("cv2")  # where it is not imported, or broken, the error is not its
    if not isinstance(error, getattr(cv2, "error", ())):
        return False
    return getattr(error, "code", 0) == cv2.Error.StsNoMem or "bad_alloc" in str(error)
