"""forward() and load() for event loops: on other threads, cancellable."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from etseg._errors import EtsegError
from etseg._labels import Label
from etseg._model.spec import ModelSpec, Source
from etseg._results.result import SegmentationResult

from .workers import Workers

if TYPE_CHECKING:
    from etseg._model.session import Session
    from etseg._module import ImageSegmentationModule

T = TypeVar("T")

#: Threads of a module beside those that its model keeps busy: they read and decode meanwhile.
_READERS = 2
#: Loads of this process that may run at the same time. They are no module's: a load that stops
#: slowly, or waits for a server, is not to hold up the next one.
_LOADS = 32

# Not waited for at exit: our own native code sees to that itself, and a server may be silent long.
_loaders = Workers(at_exit=False)


async def forward(
    module: ImageSegmentationModule,
    image: object,
    classes_of_interest: Iterable[Label],
    resize: bool,
    *,
    channel_order: Literal["rgb", "bgr"],
    out: SegmentationResult | None,
) -> SegmentationResult:
    """See :meth:`ImageSegmentationModule.forward_async`."""
    module._loaded()  # without a model there is nothing to wait for
    work = partial(
        module.forward, image, classes_of_interest, resize, channel_order=channel_order, out=out
    )
    return await _Call(work).on(module._workers, module.concurrency + _READERS)


async def load(
    module: ImageSegmentationModule,
    model: ModelSpec | Mapping[str, Any] | Source,
    on_download_progress_callback: Callable[[float], object] | None,
) -> None:
    """See :meth:`ImageSegmentationModule.load_async`."""
    call = _Load(module, model, on_download_progress_callback)
    session = await call.on(_loaders, _LOADS)
    # Here and not on the other thread: from the await to the end nothing can be cancelled, so that
    # a load that is cancelled never changes the module.
    if (old := module._exchange(session)) is not None:
        try:
            _loaders.submit(_Closing(old), _LOADS)  # frees megabytes: not for the loop's thread
        except EtsegError:  # there are no threads any more
            old.segmenter.close()


class _Call(Generic[T]):
    """Work for another thread, and the future of a loop that waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._context = contextvars.copy_context()
        self._result: T | None = None
        self._error: BaseException | None = None
        self._stopped = False

    async def on(self, workers: Workers, most: int) -> T:
        """What the work returns or raises."""
        try:
            workers.submit(self, most)
            await self._done
            if self._error is not None:
                raise self._error
            return self._result  # type: ignore[return-value]  # is there where no error is
        finally:
            # However this ends: what has not begun never does, and neither the queue nor a
            # traceback keeps anything alive.
            self.stop()
            self._work = self._result = self._error = None

    def run(self) -> None:
        """On the other thread."""
        work, self._work = self._work, None
        if work is None:  # nobody waits any more
            return
        result, error = None, None
        try:
            result = self._context.run(work)
        except BaseException as raised:
            error = raised
        del work
        self._tell(self._settle, result, error)
        # If nobody waits any more, a result is freed by this thread: it may be a model.
        del result, error

    def stop(self) -> None:
        """From any thread."""
        self._stopped = True

    def _settle(self, result: T | None, error: BaseException | None) -> None:
        if not self._done.done():  # it is, when it was cancelled
            self._result, self._error = result, error
            self._done.set_result(None)

    def _tell(self, method: Callable[..., object], *arguments: object) -> None:
        """Has the loop's thread call a method, unless nobody waits any more."""
        if self._stopped:
            return
        try:
            self._loop.call_soon_threadsafe(method, *arguments)
        except RuntimeError:  # the loop is closed
            self.stop()


class _StoppedError(Exception):
    """Raised into a download that nobody waits for."""


class _Load(_Call["Session"]):
    """Opening a model; its progress goes to a callback on the loop's thread."""

    def __init__(
        self,
        module: ImageSegmentationModule,
        model: ModelSpec | Mapping[str, Any] | Source,
        callback: Callable[[float], object] | None,
    ) -> None:
        super().__init__(partial(module._open, model, self._report))
        self._callback = callback
        # The callback may be slower than the network: it is told where the download is by then.
        self._latest: deque[float] = deque(maxlen=1)
        self._announced = False

    def _report(self, progress: float) -> None:
        """On the other thread."""
        if self._stopped:
            raise _StoppedError
        if self._callback is not None:
            self._latest.append(progress)
            if not self._announced:
                self._announced = True
                self._tell(self._pass_on, self._callback)

    def _pass_on(self, callback: Callable[[float], object]) -> None:
        self._announced = False
        if self._done.done() or not self._latest:
            return
        try:
            callback(self._latest.popleft())
        except BaseException as error:
            self.stop()
            self._settle(None, error)


class _Closing:
    """Ends a model that was replaced."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self) -> None:
        self._session.segmenter.close()

    def stop(self) -> None:
        pass
