"""What comes of a photo, while a thread is at it.

As a future of concurrent.futures, which takes longer to import than a photo to segment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .report import Item


class Finishing:
    """The files and figures of one photo, made by a thread.

    Attributes:
        error: what went wrong, which :meth:`result` raises.
    """

    def __init__(self, finish: Callable[[], Item]) -> None:
        self._finish: Callable[[], Item] | None = finish
        self._item: Item | None = None
        self.error: BaseException | None = None
        self._done = threading.Event()

    @classmethod
    def failed(cls, error: BaseException) -> Finishing:
        """One that an error came before."""

        def finish() -> Item:
            raise error

        made = cls(finish)
        made.run()
        return made

    def run(self) -> None:
        """On the thread. Raises nothing."""
        assert self._finish is not None
        try:
            self._item = self._finish()
        except BaseException as error:
            self.error = error
        self._finish = None  # it holds the photo's maps
        self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether it came to an end; not where it was never begun."""
        return self._done.is_set()

    def result(self) -> Item:
        """Waits for it. Raises what went wrong."""
        self._done.wait()
        if self.error is not None:
            raise self.error
        assert self._item is not None
        return self._item
