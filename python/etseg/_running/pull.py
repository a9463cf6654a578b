"""The images of a stream: what may be one, and how they are taken."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from threading import get_ident
from types import GeneratorType
from typing import Any, cast

from etseg._errors import InvalidUserInputError


class Job(list[object]):
    """One image, and then what became of it.

    A list that holds the image until somebody takes it out, which one can do alone. It is made of
    the image by C code, as it comes from the iterator: no interrupt comes between.
    """

    result: Any = None
    error: BaseException | None = None
    #: Whether the error is that of the iterable, and the end.
    is_last = False
    #: Whether it was handed to the threads.
    given = False
    #: Whether `result` and `error` are there.
    done = False

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]  # list has none


class Images:
    """An iterator over images that are taken one by one. By one thread at a time."""

    def __init__(self, images: Any) -> None:
        """From any iterable.

        Raises:
            InvalidUserInputError: it is none, or one image.
        """
        self._iterators = [_iterator(images)]  # none after the end
        self._asking: GeneratorType[None, None, None] | None = None
        self._asker = 0  # the thread

    def take(self, jobs: deque[Job]) -> bool:
        """Appends a job with the next image; or one with the error of the iterable, the last one.

        What is no Exception, such as KeyboardInterrupt, is raised at once, and nothing is lost.

        Returns:
            whether there is one; else it is the end, see :meth:`end`.
        """
        before = len(jobs)
        self._asker = get_ident()
        self._asking = cast("GeneratorType[None, None, None]", _one(self._iterators, jobs))
        try:
            next(self._asking, None)
        except Exception as error:
            job = Job()
            job.error, job.is_last, job.given, job.done = error, True, True, True
            jobs.append(job)
            self.end()
        return len(jobs) > before

    def end(self) -> None:
        """The iterator had no more: it is not asked again, nor closed."""
        self._iterators.clear()

    def is_asked(self) -> bool:
        """Whether a thread is inside of the iterator. Python knows it of generators, for sure."""
        return self._asking is not None and self._asking.gi_running

    def is_asked_here(self) -> bool:
        """Whether it is this thread."""
        return self.is_asked() and self._asker == get_ident()

    def let_go(self) -> None:
        """From now on there are no more; calls the iterator's close(), if it has one.

        Not while a thread is inside: that one is to call this when it comes out.
        """
        while self._iterators:
            try:
                iterator = self._iterators.pop()
            except IndexError:  # another thread was faster
                return
            if not self.is_asked():
                if (close := getattr(iterator, "close", None)) is not None:
                    close()
                return
            self._iterators.append(iterator)
            if self.is_asked():
                return


def _one(iterators: list[Iterator[object]], jobs: deque[Job]) -> Iterator[None]:
    for iterator in iterators:
        jobs.extend(map(Job, zip(islice(iterator, 1), strict=False)))
    yield from ()


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
