"""How far a download is, as its caller is told."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Tells a callback how far a download is: 0.0 to 1.0, never backwards.

    1.0 is said once, by :meth:`finish`, when the file is in its place.
    """

    def __init__(self, callback: Callable[[float], object] | None) -> None:
        self._callback = callback
        self._last = 0.0

    def report(self, done: int = 0, total: int | None = None) -> None:
        """Says how far it is; what was said last where that is unknown. May raise anything."""
        if self._callback is not None:
            if total and done < total:
                self._last = max(self._last, done / total)
            self._callback(self._last)

    def finish(self) -> None:
        """Says 1.0."""
        if self._callback is not None:
            self._callback(1.0)
