"""The work of `etseg segment`: photos in, files and figures out, several at a time.

Imports OpenCV, which the command does only when there is something to segment.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etseg._cpus import count_cpus
from etseg._errors import EtsegError, FileWriteError, OutOfMemoryError
from etseg._images.source import source_of
from etseg._module import ImageSegmentationModule
from etseg._results.result import SegmentationResult
from etseg._running.threads import Threads

from .finishing import Finishing
from .inputs import Photo
from .outputs import Plan
from .report import Item
from .wishes import Wishes

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on


#: How long forwards are waited for after Ctrl-C, in seconds. A download can take much longer.
_PATIENCE = 2.0


class Work:
    """Iterates over what became of the photos, in their order. A context: it ends its threads.

    ``module.map`` decodes and segments. One thread of ours takes its results; others, a few photos
    behind it, write files and count pixels. The main thread only waits: so each photo is told of
    when it is done, and Ctrl-C, which is raised there, finds no file half-written.
    """

    def __init__(
        self,
        module: ImageSegmentationModule,
        model: str,
        photos: Sequence[Photo],
        wishes: Wishes,
        plan: Plan,
    ) -> None:
        self._module = module
        self._model = model
        self._photos = photos
        self._wishes = wishes
        self._plan = plan
        self._keep = set(plan.inputs)  # and what we have written
        # Who paints over a photo needs all of it. Else large files are decoded in part.
        sources: Iterable[object] = (photo.source for photo in photos)
        if {"overlay", "cutout", "composed"} & {*plan.paths, plan.stdout}:
            sources = map(Whole, sources)
        self._stream = module.map(sources, wishes.asked, wishes.resize, on_error="yield")
        threads = count_cpus().threads
        self._finishers = Threads(Finishing.run, threads, name="etseg.finish")
        self._room = threading.Semaphore(2 * threads)
        self._begun: queue.SimpleQueue[Finishing | None] = queue.SimpleQueue()
        self._due: Finishing | None = None  # taken from there, and not told of
        self._taker = threading.Thread(target=self._take, name="etseg.take")
        self._closer = threading.Thread(target=self._stream.close, name="etseg.close", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        self._taker.start()
        while (finishing := self._begun.get()) is not None:
            self._due = finishing
            item = finishing.result()
            self._due = None
            self._room.release()
            yield item

    def stop(self) -> list[Item]:
        """Begins nothing any more, and returns what comes of what has begun.

        Files that are being written are waited for; images that are being segmented or downloaded
        only so long as is usual. See `is_stuck`.
        """
        if self._closer.ident is None:
            self._closer.start()
        self._closer.join(_PATIENCE)
        self._room.release()  # the taker may wait for it
        if self._taker.ident is not None:
            self._taker.join()
        self._finishers.close()
        due, self._due = self._due, None
        begun = [due] if due is not None else []
        with suppress(queue.Empty):
            while (finishing := self._begun.get_nowait()) is not None:
                begun.append(finishing)
        return [one.result() for one in begun if one.is_done and one.error is None]

    @property
    def is_stuck(self) -> bool:
        """Whether stop() has left something running, for which the interpreter's exit would wait.

        No file is being written by it.
        """
        return self._closer.is_alive()

    def _take(self) -> None:
        try:
            for index, outcome in enumerate(self._stream):
                finishing = Finishing(partial(self._finish, index, outcome))
                del outcome
                self._begun.put(finishing)
                if not self._finishers.give(finishing):  # there can be no more threads
                    self._finishers.take_back(finishing)
                    finishing.run()
                del finishing
                self._room.acquire()
        except BaseException as error:
            self._begun.put(Finishing.failed(error))
        self._begun.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._module.delete()

    def _finish(self, index: int, outcome: SegmentationResult | EtsegError) -> Item:
        name = self._photos[index].name
        if isinstance(outcome, EtsegError):
            return Item(name, outcome)
        written = self._plan.of(index)
        wishes = self._wishes
        try:
            wishes.restrict(outcome.argmax)
            for kind, path in written.items():
                if kind in self._plan.folders:
                    _make_folder(path.parent)
                from .writing import write

                self._keep.add(write(kind, path, outcome, wishes, self._keep))
            streamed = None
            if self._plan.stdout is not None:
                from .writing import for_stdout

                streamed = for_stdout(self._plan.stdout, outcome, wishes)
            return Item(
                name,
                streamed=streamed,
                record=wishes.record(outcome, name, self._model),
                written=written,
            )
        except EtsegError as error:
            return Item(name, error)
        except MemoryError:
            return Item(name, OutOfMemoryError(f"{name}: its results do not fit into memory"))


class Whole:
    """An image that is decoded once, in full, when its array is first asked for; and kept.

    So it is decoded by forward()'s thread, and there for the result's picture of it.
    """

    def __init__(self, source: object) -> None:
        self._source = source
        self._array: npt.NDArray[np.uint8] | None = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[np.uint8]:
        """uint8 (H, W, 3) or (H, W, 4), red first, or (H, W).

        Raises:
            EtsegError: it cannot be read.
        """
        if self._array is None:
            array, bgr, _ = source_of(self._source).pixels(None)
            self._array = array[..., 2::-1] if bgr and array.ndim == 3 else array
        return self._array


def _make_folder(folder: Path) -> None:
    missing = []
    for above in (folder, *folder.parents):  # not mkdir(parents=True), which is recursive
        if os.path.isdir(above):  # noqa: PTH112  # whatever its length
            break
        missing.append(above)
    try:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
    except OSError as error:
        raise FileWriteError(
            f"cannot make the folder {str(folder)!r}: {error.strerror or error}"
        ) from error
