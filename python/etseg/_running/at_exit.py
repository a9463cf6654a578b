"""What happens to modules at interpreter exit."""

from __future__ import annotations

import atexit
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from etseg import _native

from . import workers

if TYPE_CHECKING:
    from etseg._module import ImageSegmentationModule

#: How long calls that run at interpreter exit are waited for, in seconds.
_PATIENCE = 5.0

_modules: weakref.WeakSet[ImageSegmentationModule] = weakref.WeakSet()


def register(module: ImageSegmentationModule) -> None:
    """From now on until it is collected, `module` is closed at exit."""
    _modules.add(module)


def _close_all() -> None:
    """Calls that wait are turned away, those that run get a bounded time."""
    deadline = monotonic() + _PATIENCE
    workers.finish(deadline)
    _native.refuse_calls()
    for module in list(_modules):
        # Not delete(): daemon threads that still call forward() are to be stopped by the native
        # code, in silence, and not to fail here.
        if (session := module._session) is not None:
            session.segmenter.close()
    _native.shut_down(max(deadline - monotonic(), 0))


atexit.register(_close_all)
