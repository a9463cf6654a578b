"""OpenCV's log, which its codecs write to, silenced while they run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_calls = 0
_loud_level = 0


@contextmanager
def quiet() -> Iterator[None]:
    """OpenCV's log is silent while any call is in here, and then as it was before."""
    global _calls, _loud_level
    with _lock:
        if _calls == 0:
            _loud_level = _set_log_level(0)  # LOG_LEVEL_SILENT
        _calls += 1
    try:
        yield
    finally:
        with _lock:
            _calls -= 1
            if _calls == 0:
                _set_log_level(_loud_level)


def _set_log_level(level: int) -> int:
    """Sets OpenCV's and returns what it was."""
    from etseg._opencv import cv2

    if hasattr(cv2, "setLogLevel"):  # until 4.12
        return int(cv2.setLogLevel(level))
    from cv2.utils import logging as log

    return int(log.setLogLevel(level))


def _after_fork() -> None:
    """The threads that were in here are not in the child, which may have their lock held."""
    global _lock, _calls
    _lock = threading.Lock()
    if _calls:
        _calls = 0
        _set_log_level(_loud_level)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
