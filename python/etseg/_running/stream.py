"""SegmentationStream: the results of many images, in order, while the next ones are worked on.

The stream pulls images (``_pull``) and hands out results in the consumer's thread; the threads of
``_crew`` do the work between.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from etseg._errors import EtsegError, ForkedProcessError, InvalidStateError, InvalidUserInputError
from etseg._results.result import SegmentationResult

from .crew import Crew, Job
from .pull import Images

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVar  # typing has them from 3.11 and 3.13 on

    Item = TypeVar("Item", default=SegmentationResult)
else:
    from typing import TypeVar

    Item = TypeVar("Item")


class SegmentationStream(Iterator[Item]):
    """The results of many images, in their order. Made by :meth:`ImageSegmentationModule.map`.

    ::

        with module.map(sorted(folder.glob("*.jpg")), ["CAT"], resize=True) as results:
            for result in results:
                ...

    An iterator. Nothing happens before the first step. A step takes as many images from the
    iterable as are missing to `look_ahead`, but stops at the first once the result that is due is
    there, and returns it as soon as it is. Between steps, threads work on the images that were
    taken, and end when there are none left: a stream that nobody asks is idle, one that has ended
    leaves no thread.

    A source that sleeps longer than a forward takes, as a camera does, is not asked for the next
    image while a result is due. For a source whose next image depends on the last result, take
    ``look_ahead=1``: it is asked only when every result was handed out.

    Errors are raised, or yielded (see `on_error`), in the place of the image's result, and the
    next step goes on with the next image; a ``for`` loop ends with what is raised, so one that is
    to go on takes "yield". An error of the iterable itself is raised after the
    results of the images before it, and is the end. Errors that are no :class:`EtsegError`, such
    as those of an image's own ``__array__``, are always raised.

    :meth:`close`, also by ``with``, ends it: what has not begun never does, and what runs is waited
    for, since a forward cannot be stopped. A stream that is collected ends likewise, without being
    waited for. After ``module.delete()`` the remaining images get :class:`ModuleNotLoadedError`;
    after ``module.load()`` they get the new model.

    Several threads may take steps: they take turns, and each gets another result. After a fork,
    the stream can be used by the parent alone. At interpreter exit nothing that has not begun is
    begun any more, except by a thread that still takes steps: it then works alone.

    Args:
        call: makes a result of an image.
        images: an iterable of what it takes.
        concurrency: how many calls compute at a time; others read and decode meanwhile.
        look_ahead: the most images taken whose results were not handed out, 1 or more. None:
            twice the number of threads, of which there is one for each core, but at least one and
            at most four for each instance of the module, and one more if there is one instance.
        on_error: "raise" or "yield".

    Raises:
        InvalidUserInputError: `images` is no iterable, or one image; or an option is not one of
            those above.
    """

    def __init__(
        self,
        call: Callable[[object], SegmentationResult],
        images: Iterable[object],
        *,
        concurrency: int,
        look_ahead: int | None,
        on_error: Literal["raise", "yield"],
    ) -> None:
        if on_error not in ("raise", "yield"):
            raise InvalidUserInputError(f"on_error is {on_error!r}; expected 'raise' or 'yield'")
        threads = _threads_for(concurrency)
        self._look_ahead = _checked_look_ahead(look_ahead, 2 * threads)
        self._yields_errors = on_error == "yield"
        self._images = Images(images)
        self._duration = 0  # of the last forward, ns
        self._window: deque[Job] = deque()  # taken and not handed out
        self._turn = threading.Lock()
        self._owner: int | None = None  # of the turn
        self._process = os.getpid()
        self._crew = Crew(call, min(threads, self._look_ahead))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        """The next result.

        Raises:
            StopIteration: there are no more, or the stream was closed, be it meanwhile.
            EtsegError: whatever forward() raises, for the image whose turn it is.
            InvalidStateError: the iterable asks for results of the stream that is asking it.
            ForkedProcessError: this process was forked from the one that made the stream.
        """
        if os.getpid() != self._process:
            raise ForkedProcessError(
                f"this stream was made in process {self._process}, whose threads are not in this "
                "one; call map() here, on a module that was loaded here"
            )
        if self._owner == threading.get_ident():
            raise InvalidStateError(
                "the stream was asked for a result while it asks for an image, in one thread"
            )
        try:
            with self._turn:
                self._owner = threading.get_ident()
                try:
                    job = self._step()
                finally:
                    self._owner = None
        finally:
            if self._crew.closed:
                self._let_go()
        if job is None:
            raise StopIteration
        if job.error is None:
            return cast("Item", job.result)
        if self._yields_errors and isinstance(job.error, EtsegError):
            return cast("Item", job.error)
        try:
            raise job.error
        finally:
            del job  # its error has this frame in its traceback

    def close(self) -> None:
        """Ends the stream. Closing twice does nothing.

        Images that have not begun never do; those that run are waited for. A thread that waits for
        a result gets StopIteration. If `images` was not at its end and has a ``close()``, as
        generators have, it is called, unless a thread is inside of it: that one does it then, as
        soon as `images` lets it go, which nothing can hurry.
        """
        if os.getpid() == self._process:
            self._crew.close()
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # May run anywhere, in a thread of the crew too: no lock, no waiting.
        crew: Crew | None = self.__dict__.get("_crew")  # None: __init__ raised
        if crew is not None:
            crew.closed = True

    def _step(self) -> Job | None:
        """The next one that is done; None at the end, or when closed."""
        self._take_images()
        if self._crew.closed:
            return None
        if not self._window:
            self._crew.close()
            error, self._images.error = self._images.error, None
            if error is not None:
                raise error
            return None
        job = self._window[0]
        if not self._crew.wait_for(job):
            return None
        self._window.popleft()
        if isinstance(job.result, SegmentationResult):
            self._duration = job.result.timings.total
        return job

    def _take_images(self) -> None:
        """One, in place of the result that is about to go; more while that is not there yet."""
        taken = 0
        while not self._crew.closed and len(self._window) < self._look_ahead:
            if self._window and (
                self._images.is_slower_than(self._duration) or (taken and self._window[0].done)
            ):
                break
            try:
                image = next(self._images)
            except StopIteration:
                break
            self._window.append(Job(image))  # first: add() can be interrupted
            del image
            self._crew.add(self._window[-1])
            taken += 1

    def _let_go(self) -> None:
        """After the end: drops what is left, by whoever has the turn."""
        if not self._turn.acquire(blocking=False):
            return  # the one who has it comes by here
        try:
            self._window.clear()
            close = self._images.abandon()
        finally:
            self._turn.release()
        if close is not None:
            close()


def _threads_for(concurrency: int) -> int:
    """One for each instance; one for each core, as long as those are not many more, since each
    holds a decoded image; and where calls take turns on one instance, one more, to have the next
    image ready (benchmarks/throughput.py).
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(concurrency, min(cores, 4 * concurrency)) + (concurrency == 1)


def _checked_look_ahead(value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidUserInputError(f"look_ahead is {value!r}; expected an integer from 1, or None")
    return int(value)
