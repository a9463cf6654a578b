"""ImageSegmentationModule: load, forward, delete."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from enum import IntEnum
from functools import partial
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ._errors import EtsegError, InvalidModelSourceError, ModuleNotLoadedError
from ._images.decode import Pixels
from ._images.kept import KeptImage
from ._images.source import source_of
from ._labels import Label
from ._model.catalogue import CATALOGUE
from ._model.files import locate
from ._model.session import Session
from ._model.spec import ModelSpec, Source, SpecKeywords, as_spec
from ._options import CallOptions, ModuleKeywords, ModuleOptions, shares
from ._results.made import Made, Map, Timings
from ._results.maps import maps_to_reuse
from ._results.result import SegmentationResult, result_of
from ._running import at_exit
from ._running.threads import for_calls

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack  # typing has them from 3.11 on

    from ._running.stream import SegmentationStream

#: Threads of forward_async() beside those that the model keeps busy: they read and decode.
_READERS = 2
#: Attributes that _begin() makes; they do not go into a pickle.
_OWN = ("_session", "_swap", "_threads", "_not_reopened")
#: What a pickle has beside the others: the spec of what was loaded, or None.
_SPEC = "(spec)"


class CustomModelKeywords(SpecKeywords, ModuleKeywords, total=False):
    """What :meth:`ImageSegmentationModule.from_custom_model` takes."""


@shares(ModuleOptions)
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

    Raises:
        InvalidConfigError: another `concurrency` or `argmax_dtype`, or `limits` that are none.
    """

    @shares(ModuleOptions)
    def __init__(self, **options: Unpack[ModuleKeywords]) -> None:
        self._options = ModuleOptions(**options)
        self._begin()

    @classmethod
    @shares(ModuleOptions)
    def from_model_name(
        cls,
        name: str,
        on_download_progress_callback: Callable[[float], object] | None = None,
        **options: Unpack[ModuleKeywords],
    ) -> Self:
        """A module with a model of the catalogue loaded.

        Args:
            name: one of the keys of :data:`CATALOGUE`, such as "selfie-segmentation".
            on_download_progress_callback: called with 0.0 to 1.0, see :meth:`load`.

        Raises:
            InvalidModelSourceError: there is no such name; the message lists those there are.
            EtsegError: whatever :meth:`load` raises.
        """
        if name not in CATALOGUE:
            raise InvalidModelSourceError(
                f"no model of the catalogue is named {name!r}; there are {', '.join(CATALOGUE)}"
            )
        module = cls(**options)
        module.load(CATALOGUE[name], on_download_progress_callback)
        return module

    @classmethod
    @shares(ModelSpec, ModuleOptions)
    def from_custom_model(
        cls,
        source: Source,
        *,
        on_download_progress_callback: Callable[[float], object] | None = None,
        **options: Unpack[CustomModelKeywords],
    ) -> Self:
        """A module with a model of your own loaded.

        Args:
            source: a path, ``file://`` URI or http(s) URL.
            on_download_progress_callback: called with 0.0 to 1.0, see :meth:`load`.

        Raises:
            EtsegError: whatever :meth:`load` raises.
        """
        spec: dict[str, Any] = {**options}
        of_module: Any = {
            name: spec.pop(name) for name in ModuleKeywords.__annotations__ if name in spec
        }
        module = cls(**of_module)
        module.load({"model_source": source, **spec}, on_download_progress_callback)
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
        options = CallOptions(classes_of_interest, resize, channel_order)
        self._loaded().labels.find_all(options.classes_of_interest)
        source = source_of(image, bgr=options.bgr, limits=self._options.limits)
        read_for: tuple[int, int] | None = None
        pixels: Pixels | None = None
        while True:
            session = self._loaded()
            input_size = session.input_size if self._options.scaled_decode else None
            if pixels is None or read_for != input_size:
                # Also when another load() has meanwhile brought a model with a larger input.
                pixels, read_for = source.pixels(input_size), input_size
                decoded = perf_counter_ns()
            maps = self._maps(session, pixels, options, out)
            try:
                stages = session.forward(pixels, *maps, own_points=not resize)
                break
            except ModuleNotLoadedError:
                # Another load() may have replaced the model while this call waited: it is still
                # a call on a loaded module.
                if self._session is session or self._session is None:
                    raise
        timings = Timings(decoded - start, *stages, perf_counter_ns() - start)
        background = session.spec.background
        assert not isinstance(background, str)  # an index, once loaded
        kept = KeptImage(source, options.bgr, self._options.limits)
        made = Made(session.labels, *maps, timings, pixels.size, background, kept, session.name)
        return result_of(made, out)

    @shares(forward)
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

        Raises:
            InvalidStateError: asyncio does not run here.
            EtsegError: whatever :meth:`forward` raises.
        """
        from ._running import event_loop

        self._loaded()  # without a model there is nothing to wait for
        work = partial(
            self.forward, image, classes_of_interest, resize, channel_order=channel_order, out=out
        )
        return await event_loop.run(work, self._threads)

    @shares(load)
    async def load_async(
        self,
        model: ModelSpec | Mapping[str, Any] | Source,
        on_download_progress_callback: Callable[[float], object] | None = None,
    ) -> None:
        """:meth:`load`, on another thread, while the event loop goes on.

        The callback is called on the event loop's thread. Cancelling stops the download, and
        leaves what is loaded as it was.

        Raises:
            InvalidStateError: asyncio does not run here.
            EtsegError: whatever :meth:`load` raises.
        """
        from ._running import event_loop

        session = await event_loop.run_telling(
            partial(self._open, model), on_download_progress_callback
        )
        # Here and not on the other thread: from the await to the end nothing can be cancelled, so
        # that a load that is cancelled never changes the module.
        if (old := self._exchange(session)) is not None:
            event_loop.run_behind(old.segmenter.close)  # frees megabytes: not for this thread

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

    @shares(forward)
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

        options = CallOptions(classes_of_interest, resize, channel_order)
        self._loaded().labels.find_all(options.classes_of_interest)

        def call(image: object) -> SegmentationResult:
            return self.forward(
                image, options.classes_of_interest, resize, channel_order=channel_order
            )

        return SegmentationStream(
            call, images, concurrency=self.concurrency, look_ahead=look_ahead, on_error=on_error
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
        return self._options.concurrency

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
        size, labels = f"{height}x{width}", f"{len(session.labels)} labels"
        return f"<ImageSegmentationModule: {session.name}, {size}, {labels}>"

    def _begin(self) -> None:
        """What is of this process and this module alone."""
        self._session: Session | None = None
        self._swap = threading.Lock()
        self._threads = for_calls(self._options.concurrency + _READERS)
        self._not_reopened: tuple[ModelSpec, EtsegError] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is not of this process alone, of subclasses too, and the spec of what is loaded."""
        state = {name: value for name, value in vars(self).items() if name not in _OWN}
        session, failed = self._session, self._not_reopened
        if session is not None:
            return {**state, _SPEC: replace(session.spec, model_source=session.source)}
        return {**state, _SPEC: failed[0] if failed else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Loads what was loaded.

        Raises nothing on purpose, whatever load() does: multiprocessing.Pool would wait for ever
        for a task whose arguments do not unpickle.
        """
        vars(self).update((name, value) for name, value in state.items() if name != _SPEC)
        self._begin()
        if (spec := state[_SPEC]) is not None:
            try:
                self.load(spec)
            except EtsegError as error:
                self._not_reopened = spec, error.with_traceback(None)

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
        path = locate(spec, on_progress, self._options.limits)
        session = Session.open(spec, path, self._options.concurrency)
        at_exit.register(session.segmenter)
        return session

    def _maps(
        self,
        session: Session,
        pixels: Pixels,
        options: CallOptions,
        out: SegmentationResult | None,
    ) -> tuple[Map, Mapping[IntEnum, Map]]:
        """Where the result is to be written."""
        size = pixels.size if options.resize else session.output_size
        dtype = np.dtype(self._options.argmax_dtype)
        members = session.labels.find_all(options.classes_of_interest)
        if out is None:
            return session.empty_maps(size, dtype, members)
        return maps_to_reuse(out, size, dtype, session.labels, members)

    def _replace(self, session: Session | None) -> None:
        if (old := self._exchange(session)) is not None:
            old.segmenter.close()

    def _exchange(self, session: Session | None) -> Session | None:
        """Puts `session` in place of the one that is returned, for the caller to close."""
        with self._swap:
            old, self._session = self._session, session
            self._not_reopened = None
        return old
