"""What happens to models at interpreter exit."""

from __future__ import annotations

import atexit
import weakref
from time import monotonic

from etseg import _native

from . import threads

#: How long calls that run at interpreter exit are waited for, in seconds.
_PATIENCE = 5.0

# Not a WeakSet: this is looked through at exit, while other threads may still load models.
_segmenters: set[weakref.ref[_native.Segmenter]] = set()


def register(segmenter: _native.Segmenter) -> None:
    """From now on until it is collected, `segmenter` is closed at exit."""
    _segmenters.add(weakref.ref(segmenter, _segmenters.discard))


def _close_all() -> None:
    """Calls that wait are turned away, those that run get a bounded time."""
    deadline = monotonic() + _PATIENCE
    threads.finish(deadline)
    _native.refuse_calls()
    for each in list(_segmenters):
        # The modules keep them: daemon threads that still call forward() are to be stopped by the
        # native code, in silence, and not to fail because nothing is loaded.
        if (segmenter := each()) is not None:
            segmenter.close()
    _native.shut_down(max(deadline - monotonic(), 0))


atexit.register(_close_all)
