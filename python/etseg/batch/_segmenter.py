"""Segmenter: what a data engine calls on each batch, in each of its workers."""

from __future__ import annotations

import operator
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from etseg._compact import compact_module
from etseg._errors import (
    ForkedProcessError,
    InvalidStateError,
    InvalidUserInputError,
    LabelError,
    ModuleNotLoadedError,
)
from etseg._labels import Label, LabelEnum
from etseg._logs import logger as package_logger
from etseg._model.choosing import as_spec
from etseg._module import ImageSegmentationModule
from etseg._options import MAX_CONCURRENCY, ModuleKeywords, options_of
from etseg._threads import get_num_threads, set_num_threads

from . import _frames
from ._pixels import PixelBudget, pixels_of
from ._rows import Row, checked_outputs, columns_of, row_of, row_of_error

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from 3.11 on

#: Not of the image at hand: the next one would meet the same.
_OF_THE_JOB = (ModuleNotLoadedError, ForkedProcessError, InvalidStateError, LabelError)

logger = package_logger().getChild("batch._segmenter")


class WorkerKeywords(ModuleKeywords, total=False):
    """Options of a :class:`Segmenter` in a worker of a job, and of its module."""

    threads: int | None
    max_pixels_in_hand: int


class _Loaded(NamedTuple):
    """What a process has once the model is loaded."""

    module: ImageSegmentationModule
    wanted: Sequence[IntEnum]
    pool: ThreadPoolExecutor
    budget: PixelBudget  # of all who call


class Segmenter:
    """Segments the images of a batch, and returns the batch with columns added.

    ::

        segmenter = etseg.batch.Segmenter(etseg.SELFIE_SEGMENTATION, outputs=["areas", "rle"])
        frame = segmenter(pandas.DataFrame({"path": paths}))
        dataset.map_batches(etseg.batch.Segmenter, fn_constructor_args=[model], ...)   # Ray Data

    It is a description until it is first called: small, picklable, and loaded once in each
    process that calls it. Many threads may call one.

    Columns added, each null where the image cannot be segmented, but for `error`:

    ============ ============================================================================
    ``size``     ``{height, width}`` of the image, upright
    ``areas``    for each label that is there ``{label, pixels, share}``
    ``boxes``    likewise ``{label, x0, y0, x1, y1}``, half-open
    ``rle``      likewise ``{label, size, counts}``, COCO's run lengths of its mask
    ``mask_png`` bytes: a grey PNG whose values are label indices
    ``error``    ``{code, name, message}`` of :class:`~etseg.ErrorCode`; null where all is well
    ``timings``  nanoseconds of each stage, as :class:`~etseg.Timings`
    ============ ============================================================================

    Args:
        model: as for :meth:`ImageSegmentationModule.load`.
        classes: the labels that areas, boxes and masks are listed of; empty for all.
        outputs: which of "areas", "boxes", "rle", "mask_png" to add; the others always are.
        column: of the images: paths, URIs or URLs, bytes of image files, or uint8 arrays
            (H, W, 3). None for the one of "bytes", "image", "path" that is there, in this order.
        prefix: of the names of the columns added.
        resize: whether masks have the image's size; else the model's. Areas, boxes and run
            lengths are of the image either way.
        threads: how many images are in work at a time, each on one core. None for the CPUs that
            Ray assigned to the worker, else as many as etseg uses. Where that is 1, it becomes
            the number of threads of the process (:func:`set_num_threads`).
        max_pixels_in_hand: how many pixels of images may be in memory at a time; one image that
            has more is worked on alone. What cannot be told before decoding counts as a 24
            megapixel photo.
        options: of :class:`ImageSegmentationModule`, such as ``limits``; not ``concurrency``.

    Raises:
        InvalidUserInputError: an argument is not one of those above.
        InvalidModelSourceError, InvalidConfigError: `model` is none.
    """

    _loaded: _Loaded | None

    def __init__(
        self,
        model: Any,
        classes: Iterable[Label] = (),
        outputs: Iterable[str] = ("areas", "rle"),
        *,
        column: str | None = None,
        prefix: str = "",
        resize: bool = True,
        threads: int | None = None,
        max_pixels_in_hand: int = 200_000_000,
        **options: Unpack[ModuleKeywords],
    ) -> None:
        if "concurrency" in options:
            raise InvalidUserInputError("concurrency follows from threads; leave it out")
        # What is wrong with the options is said now, and here.
        self.scaled_decode = options_of("Segmenter", options).scaled_decode
        self.model = as_spec(model)
        self.classes = (classes,) if isinstance(classes, str) else tuple(classes)
        self.outputs = checked_outputs(outputs)
        self.column = column
        self.prefix = prefix
        self.resize = bool(resize)
        self._threads = None if threads is None else _positive("threads", threads)
        self._max_pixels = _positive("max_pixels_in_hand", max_pixels_in_hand)
        self._options: dict[str, Any] = {**options}
        self._begin()

    def __call__(self, batch: Any) -> Any:
        """A batch with the columns added.

        Args:
            batch: a dict of numpy arrays or lists, a ``pyarrow.Table`` or a ``pandas.DataFrame``.

        Returns:
            one of the same kind; `batch` is not changed.

        Raises:
            InvalidUserInputError: it is none of those, or has no column of images, or one of the
                names of those that would be added.
            LabelError: a class that the model does not have.
            ForkedProcessError: this process was forked from one that had called it.
            EtsegError: whatever :meth:`ImageSegmentationModule.load` raises, when first called.
        """
        frame = _frames.of(batch)
        added = [self.prefix + name for name in columns_of(self.outputs)]
        if taken := sorted(set(added) & set(frame.names())):
            raise InvalidUserInputError(
                f"the batch has columns {taken} already; a prefix tells them apart from those added"
            )
        rows = self.rows(frame.images(self.column))
        return frame.with_rows(rows, self.outputs, self.prefix)

    def rows(self, images: Iterable[Any]) -> list[Row]:
        """What `__call__` adds, as one dict for each image, in their order.

        Args:
            images: what ``forward()`` takes, or functions without arguments that return it, which
                are called on the thread that segments it: what they raise is that image's error.
        """
        loaded = self._ready()
        return list(loaded.pool.map(lambda image: self._row(loaded, image), images))

    def load(self) -> ImageSegmentationModule:
        """Loads the model in this process, unless that was done; returns the module that has it."""
        return self._ready().module

    def _row(self, loaded: _Loaded, image: Any) -> Row:
        try:
            if callable(image):
                image = image()
            with loaded.budget.room_for(pixels_of(image)):
                result = loaded.module.forward(image, resize=self.resize)
                return row_of(result, self.outputs, loaded.wanted)
        except _OF_THE_JOB:
            raise
        except Exception as error:  # a bad image is a row, whatever it raises
            return row_of_error(error, self.outputs)

    def _ready(self) -> _Loaded:
        if self._process != os.getpid():
            if self._loaded is not None:
                raise ForkedProcessError(
                    f"this Segmenter was loaded in process {self._process}, whose threads are not "
                    "in this one; load it in the child only, or start children with 'spawn'"
                )
            self._begin()  # the lock may be held by a thread that is not here
        with self._lock:
            if self._loaded is None:
                threads = min(self._threads or _assigned() or get_num_threads(), MAX_CONCURRENCY)
                if threads == 1:
                    _keep_to_one_thread()
                module = compact_module(self.model, concurrency=threads, **self._options)
                members = [m for m in module.labels if m.name != "ARGMAX"]
                chosen = {int(member_of(module.labels, label)) for label in self.classes}
                wanted = [m for m in members if not chosen or int(m) in chosen]
                # One more than instances: it reads the next image meanwhile.
                pool = ThreadPoolExecutor(threads + 1, thread_name_prefix="etseg.batch")
                budget = PixelBudget(self._max_pixels)
                self._loaded = _Loaded(module, wanted, pool, budget)
            return self._loaded

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._loaded = None

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_loaded"], state["_process"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        name = self.model.name or self.model.model_source
        return f"<etseg.batch.Segmenter: {name}, {', '.join(self.outputs)}>"


def member_of(labels: LabelEnum, label: Label) -> IntEnum:
    """The member that a label names: itself, by its name, or by its index.

    Raises:
        LabelError: there is none.
    """
    members = {m.name: m for m in labels if m.name != "ARGMAX"}
    if isinstance(label, str):
        found = members.get(label)
    else:
        found = next((m for m in members.values() if m == label), None)
    if found is None or (isinstance(label, IntEnum) and found is not label):
        raise LabelError(f"{label!r} is not a label of this model. Valid: {', '.join(members)}")
    return found


def _positive(name: str, value: object) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise InvalidUserInputError(f"{name} is {value!r}; expected an integer, 1 or more")
    return number


def _assigned() -> int | None:
    """The CPUs that Ray gave this worker, at least 1; None where Ray does not run this process."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:  # the driver's own threads are not Ray's
        return None
    return max(1, int(context.get_assigned_resources().get("CPU", 1)))


def _keep_to_one_thread() -> None:
    """With a single instance the whole pool of the process works on an image."""
    if get_num_threads() == 1:
        return
    try:
        set_num_threads(1)
    except InvalidStateError:
        logger.warning(
            "this process has loaded a model for %d threads already; the Segmenter uses those",
            get_num_threads(),
        )
