"""The images of a stream: what may be one, and how fast they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from time import perf_counter_ns, thread_time_ns
from typing import Any

from etseg._errors import InvalidUserInputError


class Images(Iterator[object]):
    """An iterator over images that keeps its error for later, and knows its own pace.

    Attributes:
        error: what the iterable raised at its end, if anything.
    """

    def __init__(self, images: Any) -> None:
        """From any iterable.

        Raises:
            InvalidUserInputError: it is none, or one image.
        """
        self.error: Exception | None = None
        self._iterator = _iterator(images)
        self._slept = 0  # for the last image, ns

    def __next__(self) -> object:
        """The next image.

        What is no Exception, such as KeyboardInterrupt, is raised at once.

        Raises:
            StopIteration: there is none, or an error instead.
        """
        start, computed = perf_counter_ns(), thread_time_ns()
        try:
            image = next(self._iterator)
        except Exception as error:
            self._iterator = iter(())
            if not isinstance(error, StopIteration):
                self.error = error
            raise StopIteration from None
        computed = thread_time_ns() - computed
        took = perf_counter_ns() - start
        self._slept = took if took > max(4 * computed, 1_000_000) else 0
        return image

    def is_slower_than(self, duration: int) -> bool:
        """Whether the iterable slept for the last image, and longer than one takes.

        To ask it for the next one first would delay the result that is due by longer than it took
        to make. One that computes is asked at all times.

        Args:
            duration: what a forward takes, in nanoseconds; 0 if none was done yet.
        """
        return self._slept > duration

    def abandon(self) -> Callable[[], object] | None:
        """From now on there are no more; returns the iterator's close(), if that is called for."""
        close = getattr(self._iterator, "close", None)
        self.error = None
        self._iterator = iter(())
        return close


def _iterator(images: Any) -> Iterator[object]:
    """Iterating over one image by mistake would segment its rows."""
    dimensions = getattr(images, "ndim", None)
    if isinstance(images, (str, os.PathLike)):
        shown = repr(images)
    elif dimensions in (2, 3):
        shown = f"one array of shape {images.shape}"
    elif isinstance(images, (bytes, bytearray, memoryview)) or hasattr(images, "read"):
        shown = f"one {type(images).__name__}"
    else:
        try:
            return iter(images)
        except TypeError:
            shown = f"one {type(images).__name__}"
    raise InvalidUserInputError(
        f"images is {shown}; expected an iterable of images: [image] for a single one, "
        "sorted(Path(folder).glob('*.jpg')) for a folder, list(array) for an array of grey images"
    ) from None
