"""SegmentationStream: the results of many images, in order, while the next ones are worked on.

The stream takes images (``pull``) and hands out results in the consumer's thread; ``threads`` do
the work between. What was taken and not handed out is in one place, the window, and goes there and
from there by single calls of C: KeyboardInterrupt, wherever it strikes, finds each image and result
either here or there, and the next step goes on from that.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from etseg._cpus import count_cpus
from etseg._errors import EtsegError, ForkedProcessError, InvalidStateError, InvalidUserInputError
from etseg._results.result import SegmentationResult

from .pull import Images, Job
from .threads import Threads

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

    With ``look_ahead=1`` the iterable is asked only when every result was handed out. That is for a
    camera, which would else be waited for while a result is due, and for a source whose next image
    depends on the last result.

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
    begun any more, and what runs is given some seconds.

    A step that is interrupted, by Ctrl-C say, loses nothing: the next one goes on where it was.

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
        self._window: deque[Job] = deque()  # taken and not handed out
        # A thread that has it already may take it again: no interrupt locks the stream up for it.
        self._turn = threading.RLock()
        self._process = os.getpid()
        self._call = call
        most = min(threads, self._look_ahead)
        self._threads: Threads[Job] = Threads(partial(_do, call), most, name="etseg.map")

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
        if self._images.is_asked_here():
            raise InvalidStateError(
                "the stream was asked for a result while it asks for an image, in one thread"
            )
        taken: list[Job] = []
        job: Job | None = None
        try:
            with self._turn:
                self._wait_for_first()
                # From one into the other in a single call, see above. After it, no call is made
                # before the result is returned, and so no interrupt comes that nobody puts right.
                taken.extend(map(deque.popleft, (self._window,)))
            (job,) = taken
            if job.error is None:
                return job.result  # type: ignore[no-any-return]  # cast() would be a call
            if self._yields_errors and isinstance(job.error, EtsegError) and not job.is_last:
                return job.error  # type: ignore[return-value]
            raise job.error
        except BaseException as error:
            if taken and error is not taken[0].error:
                self._window.extendleft(taken)  # interrupted: it comes at the next step
            if self._threads.closed:
                self._let_go()
                if not taken and isinstance(error, IndexError):  # by another thread, just now
                    raise StopIteration from None
            taken, job = [], None  # its error has this frame in its traceback
            raise

    def close(self) -> None:
        """Ends the stream. Closing twice does nothing.

        Images that have not begun never do; those that run are waited for. A thread that waits for
        a result gets StopIteration. If `images` was not at its end and has a ``close()``, as
        generators have, it is called, unless a thread is inside of it: that one does it then, as
        soon as `images` lets it go, which nothing can hurry.
        """
        if os.getpid() == self._process:
            self._threads.close()
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # May run anywhere, in a thread of ours too: no lock, no waiting.
        threads: Threads[Job] | None = self.__dict__.get("_threads")  # None: __init__ raised
        if threads is not None:
            threads.closed = True

    def _wait_for_first(self) -> None:
        """Until the first in the window is done.

        Raises:
            StopIteration: there is none, or the stream was closed.
        """
        self._take_images()
        while (job := self._first()) is not None and not self._threads.closed:
            if job.done:
                return
            if job and not self._threads.call():  # nobody has it, and nobody comes for it
                _do_here(self._call, job)
            else:
                self._threads.bell.wait_until(lambda: job.done or self._threads.closed)
        if not self._threads.closed:
            self._threads.close()
        raise StopIteration

    def _take_images(self) -> None:
        """One, in place of the result that is about to go; more while that is not there yet."""
        taken = 0
        while not self._threads.closed and len(self._window) < self._look_ahead:
            if taken and (first := self._first()) is not None and first.done:
                break
            if not self._images.take(self._window):
                if not self._threads.closed:
                    self._images.end()
                break
            self._hand_over()
            taken += 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Gives the threads what they do not have yet; all, as an interrupt may have come before.

        So one may be given twice: whoever takes the image out of it does it.
        """
        for job in list(self._window):
            if not job.given:
                self._threads.give(job)
                job.given = True

    def _first(self) -> Job | None:
        try:
            return self._window[0]
        except IndexError:
            return None

    def _let_go(self) -> None:
        """After close(): drops what is left. A thread inside of `images` does it when it is out."""
        if not self._images.is_asked():
            self._window.clear()
            self._images.let_go()


def _do(call: Callable[[object], object], job: Job) -> None:
    """Makes the result of a job, unless another thread does."""
    try:
        taken = [job.pop()]
    except IndexError:
        return
    _settle(job, _outcome(call, taken.pop, BaseException))
    del job  # the traceback of its error leads to this frame


def _do_here(call: Callable[[object], object], job: Job) -> None:
    """The same in the consumer's thread: after an interrupt the next step finds the image again."""
    _settle(job, _outcome(call, partial(job.__getitem__, 0), Exception))
    job.clear()
    del job


def _settle(job: Job, outcome: tuple[object, BaseException | None]) -> None:
    job.result, job.error = outcome
    if isinstance(job.error, EtsegError):
        import traceback  # here: errors are few

        # One that is kept shall not keep images and half-made maps.
        link: BaseException | None = job.error
        while link is not None:
            traceback.clear_frames(link.__traceback__)
            link = link.__context__
    job.done = True


def _outcome(
    call: Callable[[object], object], take: Callable[[], object], caught: type[BaseException]
) -> tuple[object, BaseException | None]:
    """What the call for an image returns and what it raises."""
    try:
        return call(take()), None
    except caught as error:
        return None, error


def _threads_for(concurrency: int) -> int:
    """One for each instance; one for each CPU that may be used, as long as those are not many
    more, since each holds a decoded image; and where calls take turns on one instance, one more, to
    have the next image ready (benchmarks/throughput.py).
    """
    return max(concurrency, min(count_cpus().threads, 4 * concurrency)) + (concurrency == 1)


def _checked_look_ahead(value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidUserInputError(f"look_ahead is {value!r}; expected an integer from 1, or None")
    return int(value)
