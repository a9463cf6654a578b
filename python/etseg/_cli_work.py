"""The work of `etseg segment`: photos in, files and figures out, several at a time.

Imports OpenCV, which the command does only when there is something to segment.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._cli_inputs import Photo
from ._cli_outputs import Plan
from ._cli_report import Item, Share
from ._decode import Pixels
from ._errors import EtsegError, FileWriteError, OutOfMemoryError
from ._module import ImageSegmentationModule
from ._pictures import overlay, write_image
from ._results import SegmentationResult
from ._sources import read_pixels

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on


class Work:
    """Iterates over what became of the photos, in their order. A context: it ends its threads.

    ``module.map`` decodes and segments; files are written, and pixels counted, on threads of our
    own, a few photos behind it. None of that is done by the main thread: so Ctrl-C, which is
    raised there, finds no file half-written.
    """

    def __init__(
        self,
        module: ImageSegmentationModule,
        model: str,
        photos: Sequence[Photo],
        classes: Sequence[str],
        resize: bool,
        plan: Plan,
    ) -> None:
        self._module = module
        self._model = model
        self._photos = photos
        self._plan = plan
        # Who paints over a photo needs all of it. Else large files are decoded in part.
        self._wholes: dict[int, _Whole] | None = {} if "overlay" in plan.paths else None
        self._stream = module.map(self._images(), classes, resize, on_error="yield")
        self._finishers = ThreadPoolExecutor(_cores(), "etseg.finish")
        self._pending: deque[Future[Item]] = deque()

    def __iter__(self) -> Iterator[Item]:
        most = 2 * _cores()
        for index, outcome in enumerate(self._stream):
            self._pending.append(self._finishers.submit(self._finish, index, outcome))
            del outcome
            while self._pending and (len(self._pending) >= most or self._pending[0].done()):
                yield self._pending.popleft().result()
        while self._pending:
            yield self._pending.popleft().result()

    def stop(self) -> list[Item]:
        """Begins nothing any more, waits for what runs, and returns what came of that."""
        self._stream.close()
        self._finishers.shutdown(cancel_futures=True)
        items = []
        while self._pending:
            try:
                items.append(self._pending.popleft().result())
            except CancelledError:
                continue
        return items

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._module.delete()

    def _images(self) -> Iterator[object]:
        for index, photo in enumerate(self._photos):
            if self._wholes is None:
                yield photo.source
            else:
                whole = self._wholes[index] = _Whole(photo.source)
                yield whole

    def _finish(self, index: int, outcome: SegmentationResult | EtsegError) -> Item:
        name = self._photos[index].name
        whole = self._wholes.pop(index) if self._wholes is not None else None
        if isinstance(outcome, EtsegError):
            # forward() takes what an array's own __array__ raises for its own words.
            return Item(name, (whole and whole.error) or outcome)
        written = self._plan.of(index)
        try:
            for kind, path in written.items():
                if kind in self._plan.folders:
                    _make_folder(path.parent)
                self._write(kind, path, outcome, whole)
            return Item(
                name,
                model=self._model,
                size=outcome.size,
                shares=_shares(outcome),
                timings=outcome.timings,
                written=written,
            )
        except EtsegError as error:
            return Item(name, error)
        except MemoryError:
            return Item(name, OutOfMemoryError(f"{name}: its results do not fit into memory"))

    def _write(
        self, kind: str, path: Path, result: SegmentationResult, whole: _Whole | None
    ) -> None:
        if kind == "overlay":
            assert whole is not None
            assert whole.pixels is not None
            background = self._module.spec.background
            assert not isinstance(background, str)  # load() makes it an index
            write_image(path, overlay(whole.pixels, result.argmax, background))
        else:
            small = len(result.labels) <= 256
            write_image(path, result.argmax.astype(np.uint8 if small else np.uint16))


class _Whole:
    """An image that is decoded once, in full, when forward() asks for its array; and kept."""

    def __init__(self, source: object) -> None:
        self.pixels: Pixels | None = None
        self.error: EtsegError | None = None
        self._source = source

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[np.uint8]:
        try:
            self.pixels = read_pixels(self._source)
        except EtsegError as error:
            self.error = error
            raise
        array = self.pixels.array
        if self.pixels.bgr and array.ndim == 3:
            return array[..., 2::-1]
        return array


def _shares(result: SegmentationResult) -> list[Share]:
    """Of the labels that are there, and of those that were asked for; the largest first."""
    counts = np.bincount(result.argmax.ravel(), minlength=len(result.labels) - 1)
    shares = []
    for index in np.argsort(-counts, kind="stable"):
        member = result.labels(int(index))
        asked = member in result
        if counts[index] or asked:
            count = int(counts[index])
            mean = float(np.mean(result[member])) if asked else None
            shares.append(Share(member.name, int(index), count, count / result.argmax.size, mean))
    return shares


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileWriteError(
            f"cannot make the folder {str(folder)!r}: {error.strerror or error}"
        ) from error


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
