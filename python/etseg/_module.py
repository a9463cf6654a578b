"""ImageSegmentationModule: load, forward, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ._errors import EtsegError, InvalidModelSourceError, ModuleNotLoadedError
from ._holder import ModelHolder
from ._images.decode import Pixels
from ._images.kept import KeptImage
from ._images.source import source_of
from ._labels import Label
from ._model.catalogue import CATALOGUE
from ._model.choosing import Model
from ._model.custom_config import CustomConfig, fields_of
from ._model.session import Session
from ._model.spec import ModelSpec, Source, SpecKeywords
from ._options import CallOptions, ModuleKeywords, ModuleOptions, one_resize, options_of, shares
from ._results.made import Made, Map, Output, Timings
from ._results.maps import maps_to_reuse
from ._results.result import SegmentationResult, result_of

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack  # typing has them from 3.11 on

    from ._running.stream import SegmentationStream


class CustomModelKeywords(SpecKeywords, ModuleKeywords, total=False):
    """What :meth:`ImageSegmentationModule.from_custom_model` takes."""


@shares(ModuleOptions)
class ImageSegmentationModule(ModelHolder):
    """Semantic segmentation of images with an ExecuTorch program.

    ::

        with ImageSegmentationModule("selfie-segmentation") as module:
            result = module.forward("photo.jpg", ["SELFIE"], resize=True)

    Many threads may call :meth:`forward` on one module, and none holds the GIL. Calls run in the
    order they came, one at a time, each on all cores; or, with ``concurrency=N``, N at a time, each
    on its caller's thread alone. A process that is forked after a load cannot use the module: it
    raises :class:`ForkedProcessError` there.

    A pickle or copy of a module has the options and the spec of what is loaded, and opens that
    again, by its path (absolute since it was loaded) or URL. If that fails, the first use raises
    the error.

    Args:
        model: to be loaded, whatever :meth:`load` takes; None for none yet.
        on_download_progress_callback: called with 0.0 to 1.0, see :meth:`load`.

    Raises:
        InvalidConfigError: another `concurrency`, `argmax_dtype` or `packed_weights`, or `limits`
            that are none.
        EtsegError: whatever :meth:`load` raises.
    """

    @shares(ModuleOptions)
    def __init__(
        self,
        model: Model | None = None,
        on_download_progress_callback: Callable[[float], object] | None = None,
        **options: Unpack[ModuleKeywords],
    ) -> None:
        super().__init__(options_of(type(self).__name__, options))
        if model is not None:
            self.load(model, on_download_progress_callback)

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

    @classmethod
    @shares(ModuleOptions)
    def from_custom_config(
        cls,
        source: Source,
        config: CustomConfig,
        on_download_progress_callback: Callable[[float], object] | None = None,
        **options: Unpack[ModuleKeywords],
    ) -> Self:
        """:meth:`from_custom_model`, as react-native-executorch 0.9 calls and writes it.

        Args:
            source: a path, ``file://`` URI or http(s) URL.
            config: ``{"label_map": an IntEnum or {name: index}, "preprocessor_config":
                {"norm_mean": ..., "norm_std": ...}}``; the second may be left out.
            on_download_progress_callback: called with 0.0 to 1.0, see :meth:`load`.

        Raises:
            InvalidConfigError: `config` is no such mapping.
            EtsegError: whatever :meth:`load` raises.
        """
        fields = fields_of(config)
        module = cls(**options)
        module.load({"model_source": source, **fields}, on_download_progress_callback)
        return module

    def forward(
        self,
        image: object,
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        out: SegmentationResult | None = None,
        resize_to_input: bool | None = None,
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
                ``__array_interface__``; or a function without arguments that returns one of these.
                Arrays are read where they lie, whatever their strides.
                A large JPEG file is not decoded in full, unless the module was made with
                ``scaled_decode=False``: results differ in their last digits from those of the
                same pixels given as an array.
            classes_of_interest: the labels whose probability maps to return: members, names or
                indices. None of a program that returns labels: see :attr:`has_probabilities`.
            resize: False gives maps of the model's output size; True of the image's size, as a
                person sees it (EXIF orientation applied).
            channel_order: "rgb", or "bgr" for arrays that are blue first, such as OpenCV's; the
                result's pictures are so, too. Files and PIL images know theirs.
            out: an earlier result of the same size and classes, whose arrays are written over
                and which is returned: no allocation, no page fault. After an error its arrays
                hold anything.
            resize_to_input: another name of `resize`, that of react-native-executorch 0.8 and
                later. There it is True unless said otherwise, here False.

        Returns:
            a mapping from labels to arrays (H, W): ARGMAX always, and the probability (float32,
            0..1) of each class of interest.

        Raises:
            ModuleNotLoadedError: nothing is loaded, or it was deleted before the call's turn.
            InvalidUserInputError: `image`, `channel_order` or `out` is not what was expected, or
                the image has more pixels than the limits allow; or the model has no probabilities.
            InvalidModelError: the program returned what it had not announced, or a label that the
                model does not have.
            LabelError: a label that the model does not have.
            FileMissingError: there is no such file.
            FileReadError: the image cannot be read or decoded, or the function that opens it
                failed.
            DownloadError: the image's URL cannot be had within the limits.
            ForkedProcessError: the model was loaded in a process that this one was forked from.
        """
        start = perf_counter_ns()
        resize = one_resize(resize, resize_to_input)
        options = CallOptions(classes_of_interest, resize, channel_order)
        self._loaded().members(options.classes_of_interest)
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
        output = Output(session.output_size, session.has_probabilities)
        made = Made(
            session.labels, *maps, timings, pixels.size, background, kept, session.name, output
        )
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
        resize_to_input: bool | None = None,
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
        resize = one_resize(resize, resize_to_input)
        work = partial(
            self.forward, image, classes_of_interest, resize, channel_order=channel_order, out=out
        )
        return await event_loop.run(work, self._threads)

    @overload
    def map(
        self,
        images: Iterable[object],
        classes_of_interest: Iterable[Label] = (),
        resize: bool = False,
        *,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        look_ahead: int | None = None,
        resize_to_input: bool | None = None,
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
        resize_to_input: bool | None = None,
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
        resize_to_input: bool | None = None,
        on_error: Literal["raise", "yield"] = "raise",
    ) -> SegmentationStream[Any]:
        """Segments many images: their results, in order, as an iterator.

        Reading, inference and postprocessing of neighbouring images overlap. ``images`` is pulled
        as results are taken, never more than `look_ahead` images before them: it may be endless.
        See :class:`SegmentationStream` for how to stop, and for what follows an error.

        Args:
            images: an iterable of what :meth:`forward` takes; each at its own size. Functions
                that open an image are called by the threads that read.
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

        resize = one_resize(resize, resize_to_input)
        options = CallOptions(classes_of_interest, resize, channel_order)
        self._loaded().members(options.classes_of_interest)

        def call(image: object) -> SegmentationResult:
            return self.forward(
                image, options.classes_of_interest, resize, channel_order=channel_order
            )

        return SegmentationStream(
            call, images, concurrency=self.concurrency, look_ahead=look_ahead, on_error=on_error
        )

    def warmup(self) -> None:
        """Runs the model once on a grey image, so that the first forward is not the slow one.

        With ``concurrency=N`` each of the N instances, one after the other.

        Raises:
            ModuleNotLoadedError: nothing is loaded.
            ForkedProcessError: the model was loaded in a process that this one was forked from.
        """
        while True:
            session = self._loaded()
            try:
                return session.segmenter.warm_up()
            except ModuleNotLoadedError:
                if self._session is session or self._session is None:
                    raise

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
        members = session.members(options.classes_of_interest)
        if out is None:
            return session.empty_maps(size, dtype, members)
        return maps_to_reuse(out, size, dtype, session.labels, members)
