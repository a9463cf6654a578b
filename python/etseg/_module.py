"""ImageSegmentationModule: load, forward, delete."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from enum import IntEnum
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from . import _pickling
from ._errors import (
    EtsegError,
    InvalidConfigError,
    InvalidModelSourceError,
    InvalidUserInputError,
    ModuleNotLoadedError,
)
from ._images.decode import Pixels
from ._images.kept import KeptImage
from ._images.source import source_of
from ._labels import Label, Labels
from ._limits import Limits
from ._model.catalogue import CATALOGUE
from ._model.files import locate
from ._model.session import Session
from ._model.spec import ModelSpec, Source, as_spec
from ._results.result import SegmentationResult, Timings
from ._running import at_exit
from ._running.workers import Workers

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

    from ._running.stream import SegmentationStream

_MAX_CONCURRENCY = 256  # kMaxInstances of the core


class ImageSegmentationModule:
    """Semantic segmentation of images with an ExecuTorch program.

    ::

        with ImageSegmentationModule() as module:
            module.load(etseg.SELFIE_SEGMENTATION)
            result = module.forward("photo.jpg", ["SELFIE"], resize=True)

    Many threads may call :meth:`forward` on one module, and none holds the GIL. Calls run in the
    order they came, one at a time, each on all cores; or, with ``concurrency=N``, N at a time, each
    on its caller's thread alone. A process that is forked after a load cannot use the module: it
    raises :class:`ForkedProcessError` there.

    A pickle or copy of a module has the options and the spec of what is loaded, and opens that
    again, by its path (absolute since it was loaded) or URL. If that fails, the first use raises
    the error.

    Args:
        concurrency: how many calls may run at the same time, 1 to 256. They share the mapped file;
            each costs the memory of one more set of packed weights and buffers. 1 gives the
            shortest time for one image, as many as there are cores the most images a second.
        argmax_dtype: type of the ARGMAX maps, "int32" or "uint8". The second is for models with
            at most 256 labels, and four times smaller.
        scaled_decode: whether a JPEG much larger than the model's input is decoded at 1/2, 1/4 or
            1/8 of its size, with at least twice the input left on both sides. The result is the
            whole image's size all the same; next to that of the whole image's pixels, its last
            digits differ.
        limits: how large images and downloads may be, and how long they may take.

    Raises:
        InvalidConfigError: another `concurrency` or `argmax_dtype`, or `limits` that are none.
    """

    def __init__(
        self,
        *,
        concurrency: int = 1,
        argmax_dtype: Literal["int32", "uint8"] = "int32",
        scaled_decode: bool = True,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        whole = isinstance(concurrency, (int, np.integer)) and not isinstance(concurrency, bool)
        if not whole or not 1 <= concurrency <= _MAX_CONCURRENCY:
            raise InvalidConfigError(
                f"concurrency is {concurrency!r}; expected an int from 1 to {_MAX_CONCURRENCY}"
            )
        if argmax_dtype not in ("int32", "uint8"):
            raise InvalidConfigError(
                f"argmax_dtype is {argmax_dtype!r}; expected 'int32' or 'uint8'"
            )
        if not isinstance(limits, Limits):
            raise InvalidConfigError(f"limits is {limits!r}; expected an etseg.Limits")
        self._concurrency = int(concurrency)
        self._argmax_dtype = np.dtype(argmax_dtype)
        self._scaled_decode = bool(scaled_decode)
        self._limits = limits
        self._begin()

    @classmethod
    def from_model_name(
        cls,
        name: str,
        on_download_progress_callback: Callable[[float], object] | None = None,
        *,
        concurrency: int = 1,
        argmax_dtype: Literal["int32", "uint8"] = "int32",
        scaled_decode: bool = True,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> Self:
        """A module with a model of the catalogue loaded.

        Args:
            name: one of the keys of :data:`CATALOGUE`, such as "selfie-segmentation".
            on_download_progress_callback: as for :meth:`load`.
            concurrency: as for the class.
            argmax_dtype: likewise.
            scaled_decode: likewise.
            limits: likewise.

        Raises:
            InvalidModelSourceError: there is no such name; the message lists those there are.
            EtsegError: whatever :meth:`load` raises.
        """
        if name not in CATALOGUE:
            raise InvalidModelSourceError(
                f"no model of the catalogue is named {name!r}; there are {', '.join(CATALOGUE)}"
            )
        module = cls(
            concurrency=concurrency,
            argmax_dtype=argmax_dtype,
            scaled_decode=scaled_decode,
            limits=limits,
        )
        module.load(CATALOGUE[name], on_download_progress_callback)
        return module

    @classmethod
    def from_custom_model(
        cls,
        source: Source,
        *,
        labels: Labels | None = None,
        mean: Iterable[float] | None = None,
        std: Iterable[float] | None = None,
        on_download_progress_callback: Callable[[float], object] | None = None,
        concurrency: int = 1,
        argmax_dtype: Literal["int32", "uint8"] = "int32",
        scaled_decode: bool = True,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        **fields: Any,
    ) -> Self:
        """A module with a model of your own loaded.

        Args:
            source: a path, ``file://`` URI or http(s) URL.
            labels: as in :class:`ModelSpec`; what is None is taken as :meth:`load` says.
            mean: likewise.
            std: likewise.
            on_download_progress_callback: as for :meth:`load`.
            concurrency: as for the class.
            argmax_dtype: likewise.
            scaled_decode: likewise.
            limits: likewise.
            fields: further fields of :class:`ModelSpec`, such as ``activation`` or ``sha256``.

        Raises:
            EtsegError: whatever :meth:`load` raises.
        """
        module = cls(
            concurrency=concurrency,
            argmax_dtype=argmax_dtype,
            scaled_decode=scaled_decode,
            limits=limits,
        )
        spec = {"model_source": source, "labels": labels, "mean": mean, "std": std, **fields}
        module.load(spec, on_download_progress_callback)
        return module

    def load(
        self,
        model: ModelSpec | Mapping[str, Any] | Source,
        on_download_progress_callback: Callable[[float], object] | None = None,
    ) -> None:
        """Loads a model, in place of the one that is loaded.

        The one that is loaded goes only when the new one is ready: after an error it is still
        there. A file that is named as a published one takes from the catalogue what neither the
        spec nor the program's own metadata says. What nobody says is taken to be usual: the
        image is scaled to 0..1 (mean 0, std 1); the activation is "none" for one output channel,
        else "softmax"; 21 channels are :class:`DeeplabLabel`, one is
        :class:`SelfieSegmentationLabel`, any other number ``CLASS_0``, ``CLASS_1``, ...

        A program is code: load only files that you trust, or whose SHA-256 you know.

        Args:
            model: a constant such as :data:`SELFIE_SEGMENTATION`, a :class:`ModelSpec`, a mapping
                with its fields (``{"model_source": ...}``), or a path, ``file://`` URI or URL.
            on_download_progress_callback: called with 0.0 to 1.0 while the file is downloaded,
                never with less than before; with 1.0 alone when it is there already. What it
                raises cancels the load. See :mod:`etseg.resources` for where files are kept.

        Raises:
            InvalidModelSourceError: `model` is no source of a model.
            InvalidConfigError: the spec does not fit the program, or itself.
            FileMissingError: there is no such file.
            FileReadError: the file cannot be read.
            DownloadError: the file cannot be had, or ETSEG_OFFLINE is set.
            FileWriteError: the cache directory cannot be written to.
            InvalidModelError: the file is damaged, or no segmentation program.
            UnsupportedModelError: the program needs an operator or backend that is not here.
            ForkedProcessError: this process was forked from one that had used etseg.
        """
        self._replace(self._open(model, on_download_progress_callback))

    def forward(
        self,
        image: object,
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        out: SegmentationResult | None = None,
    ) -> SegmentationResult:
        """Segments one image.

        The image is resized to the model's input (see ``ModelSpec.resample``) and normalised; the
        program runs; its output is brought to the result's size bilinearly (half-pixel centres),
        then the activation is applied, then argmax. So at every pixel ARGMAX is the argmax of the
        probabilities, up to ties in float32. Ties go to the lowest index; where the program
        returned NaN or infinity, ARGMAX is 0 and every probability NaN.

        Args:
            image: a path, ``file://`` URI, http(s) URL, data URI or base64 string; the bytes of an
                image file, or a file opened for reading them; a uint8 array (H, W, 3), (H, W, 4)
                with the fourth channel ignored, or (H, W) grey; a PIL image or anything with
                ``__array_interface__``. Arrays are read where they lie, whatever their strides.
                A large JPEG file is not decoded in full, unless the module was made with
                ``scaled_decode=False``: results differ in their last digits from those of the
                same pixels given as an array.
            classes_of_interest: the labels whose probability maps to return: members, names or
                indices.
            resize: False gives maps of the model's output size; True of the image's size, as a
                person sees it (EXIF orientation applied).
            channel_order: "rgb", or "bgr" for arrays that are blue first, such as OpenCV's. Files
                and PIL images know theirs.
            out: an earlier result of the same size and classes, whose arrays are written over
                and which is returned: no allocation, no page fault. After an error its arrays
                hold anything.

        Returns:
            a mapping from labels to arrays (H, W): ARGMAX always, and the probability (float32,
            0..1) of each class of interest.

        Raises:
            ModuleNotLoadedError: nothing is loaded, or it was deleted before the call's turn.
            InvalidUserInputError: `image`, `channel_order` or `out` is not what was expected, or
                the image has more pixels than the limits allow.
            LabelError: a label that the model does not have.
            FileMissingError: there is no such file.
            FileReadError: the image cannot be read or decoded.
            DownloadError: the image's URL cannot be had within the limits.
            ForkedProcessError: the model was loaded in a process that this one was forked from.
        """
        start = perf_counter_ns()
        session = self._loaded()
        session.labels.find_all(classes_of_interest := _reiterable(classes_of_interest))
        if channel_order not in ("rgb", "bgr"):
            raise InvalidUserInputError(
                f"channel_order is {channel_order!r}; expected 'rgb' or 'bgr'"
            )
        bgr = channel_order == "bgr"
        source = source_of(image, bgr=bgr, limits=self._limits)
        read_for: tuple[int, int] | None = None
        pixels: Pixels | None = None
        while True:
            session = self._loaded()
            input_size = session.input_size if self._scaled_decode else None
            if pixels is None or read_for != input_size:
                # Also when another load() has meanwhile brought a model with a larger input.
                pixels, read_for = source.pixels(input_size), input_size
                decoded = perf_counter_ns()
            try:
                result, stages = session.forward(
                    pixels, classes_of_interest, resize, self._argmax_dtype, out
                )
                break
            except ModuleNotLoadedError:
                # Another load() may have replaced the model while this call waited: it is still
                # a call on a loaded module.
                if self._session is session or self._session is None:
                    raise
        background = session.spec.background
        assert not isinstance(background, str)  # an index, once loaded
        result._done(
            Timings(decoded - start, *stages, perf_counter_ns() - start),
            pixels.size,
            background,
            KeptImage(source, bgr, self._limits),
        )
        return result

    async def forward_async(
        self,
        image: object,
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        out: SegmentationResult | None = None,
    ) -> SegmentationResult:
        """:meth:`forward`, on another thread, while the event loop goes on.

        Cancelling it stops the waiting: a call that has not begun is never made; one that runs
        comes to its end in the background, and its result is dropped. An array of `image` or
        `out` is in use until then.

        Args:
            image: as for :meth:`forward`.
            classes_of_interest: likewise.
            resize: likewise.
            channel_order: likewise.
            out: likewise.

        Raises:
            EtsegError: whatever :meth:`forward` raises.
        """
        from ._running import event_loop

        return await event_loop.forward(
            self, image, classes_of_interest, resize, channel_order=channel_order, out=out
        )

    async def load_async(
        self,
        model: ModelSpec | Mapping[str, Any] | Source,
        on_download_progress_callback: Callable[[float], object] | None = None,
    ) -> None:
        """:meth:`load`, on another thread, while the event loop goes on.

        Cancelling it stops the download, and leaves what is loaded as it was.

        Args:
            model: as for :meth:`load`.
            on_download_progress_callback: likewise; called on the event loop's thread.

        Raises:
            EtsegError: whatever :meth:`load` raises.
        """
        from ._running import event_loop

        await event_loop.load(self, model, on_download_progress_callback)

    @overload
    def map(
        self,
        images: Iterable[object],
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        look_ahead: int | None = None,
        on_error: Literal["raise"] = "raise",
    ) -> SegmentationStream[SegmentationResult]: ...

    @overload
    def map(
        self,
        images: Iterable[object],
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        look_ahead: int | None = None,
        on_error: Literal["yield"],
    ) -> SegmentationStream[SegmentationResult | EtsegError]: ...

    def map(
        self,
        images: Iterable[object],
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        look_ahead: int | None = None,
        on_error: Literal["raise", "yield"] = "raise",
    ) -> SegmentationStream[Any]:
        """Segments many images: their results, in order, as an iterator.

        Reading, inference and postprocessing of neighbouring images overlap. ``images`` is pulled
        as results are taken, never more than `look_ahead` images before them: it may be endless.
        See :class:`SegmentationStream` for how to stop, and for what follows an error.

        Args:
            images: an iterable of what :meth:`forward` takes; each at its own size.
            classes_of_interest: as for :meth:`forward`.
            resize: likewise.
            channel_order: likewise.
            look_ahead: how many images may have been taken whose results have not; None for
                enough to keep the cores busy.
            on_error: "raise" raises an image's error where its result would have come, and the
                next step goes on with the next image; "yield" yields the error instead.

        Raises:
            InvalidUserInputError: `images` is one image and not many, or an option is not one of
                those.
            LabelError: a label that the model does not have.
            ModuleNotLoadedError: nothing is loaded.
        """
        from ._running.stream import SegmentationStream

        return SegmentationStream(
            self,
            images,
            classes_of_interest,
            resize,
            channel_order=channel_order,
            look_ahead=look_ahead,
            on_error=on_error,
        )

    def warmup(self) -> None:
        """Runs the model once on a grey image, so that the first forward is not the slow one.

        With ``concurrency=N`` that warms one of the N instances.

        Raises:
            ModuleNotLoadedError: nothing is loaded.
            ForkedProcessError: the model was loaded in a process that this one was forked from.
        """
        self.forward(np.full((*self._loaded().input_size, 3), 128, np.uint8))

    def delete(self) -> None:
        """Frees the model; :meth:`forward` raises until the next :meth:`load`.

        Returns at once: a call that runs finishes on the old model and frees it; calls that wait
        raise :class:`ModuleNotLoadedError`. Deleting twice does nothing.
        """
        self._replace(None)

    @property
    def is_loaded(self) -> bool:
        """Whether forward() has a model to run."""
        return self._session is not None

    @property
    def concurrency(self) -> int:
        """How many calls of forward() may run at the same time."""
        return self._concurrency

    @property
    def labels(self) -> type[IntEnum]:
        """The labels of the loaded model, in channel order, ARGMAX last."""
        return self._loaded().labels.enum

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that images are brought to."""
        return self._loaded().input_size

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the maps with ``resize=False``."""
        return self._loaded().output_size

    @property
    def spec(self) -> ModelSpec:
        """The spec of the loaded model, with what was left open filled in."""
        return self._loaded().spec

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.delete()

    def __repr__(self) -> str:
        session = self._session
        if session is None:
            return "<ImageSegmentationModule: not loaded>"
        height, width = session.input_size
        name = session.spec.name or os.fspath(session.spec.model_source)
        return f"<ImageSegmentationModule: {name}, {height}x{width}, {len(session.labels)} labels>"

    def __getstate__(self) -> dict[str, Any]:
        return _pickling.state_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin()
        _pickling.restore(self, state)

    def _begin(self) -> None:
        """What is of this process and this module alone."""
        self._session: Session | None = None
        self._swap = threading.Lock()
        self._workers = Workers()
        self._not_reopened: tuple[ModelSpec, EtsegError] | None = None
        at_exit.register(self)

    def _loaded(self) -> Session:
        session = self._session
        if session is None:
            if (failed := self._not_reopened) is not None:
                raise copy(failed[1])  # each caller its own traceback
            raise ModuleNotLoadedError("no model is loaded; call load() first")
        return session

    def _open(
        self,
        model: ModelSpec | Mapping[str, Any] | Source,
        on_progress: Callable[[float], object] | None,
    ) -> Session:
        spec = as_spec(model)
        return Session.open(spec, locate(spec, on_progress, self._limits), self._concurrency)

    def _replace(self, session: Session | None) -> None:
        if (old := self._exchange(session)) is not None:
            old.segmenter.close()

    def _exchange(self, session: Session | None) -> Session | None:
        """Puts `session` in place of the one that is returned, for the caller to close."""
        with self._swap:
            old, self._session = self._session, session
            self._not_reopened = None
        return old


def _reiterable(labels: Iterable[Label]) -> Iterable[Label]:
    """A generator of labels is read twice: before the image is decoded, and for the call."""
    return list(labels) if hasattr(labels, "__next__") else labels
