"""Attempts, and the pauses between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from etseg._errors import DownloadError
from etseg._logs import logger

from .errors import PassingError
from .watch import StopCall, Watch

#: How often one request is tried, and how long the first pause is; it doubles each time.
TRIES = 5
FIRST_PAUSE = 0.25

_log = logger()
T = TypeVar("T")


def retried(
    watch: Watch, attempt: Callable[[], T], has_advanced: Callable[[], bool] = lambda: False
) -> T:
    """`attempt()` under a watch, and again after a pause where it failed in passing.

    Args:
        has_advanced: whether the attempts since the last call came so far that they need not be
            counted against the limit.

    Raises:
        DownloadError: the last attempt failed too, the server wants to be left alone for longer
            than the read timeout, or the watch's time is up.
        whatever else `attempt` and the watch's `tick` raise.
    """
    failures = 0
    while True:
        outcome = _outcome(watch, attempt)
        if not isinstance(outcome, _Failed):
            return outcome
        error = outcome.error
        if not isinstance(error, PassingError):
            raise error
        failures = 1 if has_advanced() else failures + 1
        if failures >= TRIES:
            raise DownloadError(
                f"{error}; gave up after {failures} attempts without progress. Check the "
                "network and the URL, and try again",
                error.code,
            )
        if error.pause > watch.read_timeout:
            raise DownloadError(
                f"{error}; it asks for a pause of {error.pause:.0f} s, longer than the "
                f"read_timeout of Limits ({watch.read_timeout:g} s). Try again later",
                error.code,
            )
        pause = FIRST_PAUSE * 2 ** (failures - 1) * random.uniform(0.75, 1.25)
        pause = max(pause, error.pause)
        total = watch.over_in(pause)
        if total is not None:
            raise DownloadError(
                f"{error}; there is no time for another attempt within the total_timeout of Limits "
                f"({total:g} s)",
                error.code,
            )
        _log.info("%s; next attempt in %.2f s", error, pause)
        watch.pause(pause)


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _outcome(watch: Watch, attempt: Callable[[], T]) -> T | _Failed:
    """What an attempt gives, or how it ended. Raised by the caller, outside of any handler: so
    that what is raised has no other error behind it."""
    try:
        with watch.running():
            return attempt()
    except StopCall as stop:
        return _Failed(stop.error)
    except PassingError as error:
        return _Failed(error)
