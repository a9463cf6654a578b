"""The threads of a stream: they live while there is work, and no longer."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable

from etseg._errors import EtsegError


class Job:
    """One image, and then what became of it."""

    __slots__ = ("added", "done", "error", "image", "result")

    def __init__(self, image: object) -> None:
        self.image: object | None = image
        self.result: object = None
        self.error: BaseException | None = None
        self.added = False
        self.done = False


class Crew:
    """Calls a function for each image, in threads, begun in the order they were added.

    Not a ThreadPoolExecutor: its threads stay until it is shut down, at interpreter exit it does
    first what has not begun, and after that refuses an ordinary thread that goes on. Not
    ``_workers`` either: those stay for the next call, and are not waited for; a stream that was
    closed leaves no thread.

    It does not know the stream, which can therefore be collected while threads work.

    Attributes:
        closed: nothing is begun any more. May be set without :meth:`close`.
    """

    def __init__(self, call: Callable[[object], object], size: int) -> None:
        self.closed = False
        self._call = call
        self._size = size
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._working: set[threading.Thread] = set()
        self._leaving: set[threading.Thread] = set()  # they take nothing more

    def add(self, job: Job) -> None:
        """Something to do. Returns at once. Once is enough; twice is the same."""
        with self._changed:
            if not self.closed:
                if not job.added:
                    job.added = True
                    self._waiting.append(job)
                self._hire()

    def wait_for(self, job: Job) -> bool:
        """Waits until a job is done. False if it never will be: closed."""
        with self._changed:
            while not job.done and not self.closed:
                self.add(job)  # an interrupt may have come before that, or before its thread
                if self._waiting and not self._working:
                    self._do(self._waiting.popleft())
                else:
                    self._changed.wait()
        return job.done and not self.closed

    def close(self) -> None:
        """Drops what has not begun, and waits for the threads; except for the caller's."""
        with self._changed:
            self.closed = True
            self._waiting.clear()
            threads = [*self._working, *self._leaving]
            self._changed.notify_all()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _hire(self) -> None:
        """A thread for what waits, unless all are there; locked.

        Threads are joined at interpreter exit. So that it is not held up, none takes anything new
        once the main thread has ended, and none can be had soon after.
        """
        if not self._waiting or len(self._working) >= self._size or not _main_is_alive():
            return
        self._leaving = {thread for thread in self._leaving if thread.is_alive()}
        thread = threading.Thread(target=self._work, name="etseg.map")
        self._working.add(thread)
        try:
            thread.start()
        except BaseException as error:
            if thread.ident is None:
                self._working.discard(thread)
            if not isinstance(error, RuntimeError):  # no thread to be had: wait_for() works then
                raise

    def _work(self) -> None:
        with self._changed:
            self._working.add(thread := threading.current_thread())
            while self._waiting and not self.closed and _main_is_alive():
                self._do(self._waiting.popleft())
            self._working.discard(thread)
            self._leaving.add(thread)
            self._changed.notify_all()

    def _do(self, job: Job) -> None:
        """Does a job, unlocked meanwhile."""
        self._changed.release()
        try:
            job.result, job.error = _outcome(self._call, job)
            if isinstance(job.error, EtsegError):
                _forget_variables(job.error)
        finally:
            self._changed.acquire()
        job.done = True
        self._changed.notify_all()
        del job  # the traceback of its error has this frame


def _outcome(call: Callable[[object], object], job: Job) -> tuple[object, BaseException | None]:
    """What the call returns and what it raises."""
    image, job.image = job.image, None
    try:
        return call(image), None
    except BaseException as error:
        return None, error


def _forget_variables(error: BaseException) -> None:
    """An error that is kept shall not keep images and half-made maps."""
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__context__


def _main_is_alive() -> bool:
    return threading.main_thread().is_alive()
