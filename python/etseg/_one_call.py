"""segment(): from a photo to a result in one call, and the models that it keeps for the next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Literal

from ._errors import ModuleNotLoadedError
from ._labels import Label
from ._limits import Limits
from ._model.choosing import Model, as_spec
from ._model.files import anchored
from ._model.spec import ModelSpec
from ._module import ImageSegmentationModule
from ._options import ModuleOptions, shares
from ._results.result import SegmentationResult

_Key = tuple[ModelSpec, ModuleOptions]
_Loading = Future[ImageSegmentationModule]

#: Loaded, or being loaded by the call that put it here. Changed by single operations of dict, which
#: threads see whole: no lock is held while a model is loaded, or when Ctrl-C strikes.
_kept: dict[_Key, _Loading] = {}


@shares(ImageSegmentationModule.forward, ModuleOptions)
def segment(
    image: object,
    model: Model = "selfie-segmentation",
    classes: Iterable[Label] = (),
    *,
    channel_order: Literal["rgb", "bgr"] = "rgb",
    concurrency: int = 1,
    argmax_dtype: Literal["int32", "uint8"] = "int32",
    scaled_decode: bool = True,
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> SegmentationResult:
    """Segments one image, in one call. The maps of the result have the image's size.

    A model is loaded by the first call that names it with these options, and kept for the next
    ones, whatever thread they come from, until :func:`unload`.

    Args:
        model: whatever :meth:`ImageSegmentationModule.load` takes.
        classes: the labels whose probability maps to return: members, names or indices.

    Returns:
        as :meth:`ImageSegmentationModule.forward` with ``resize=True``.

    Raises:
        EtsegError: what :class:`ImageSegmentationModule`, its ``load`` and its ``forward`` raise.
    """
    options = ModuleOptions(
        concurrency=concurrency,
        argmax_dtype=argmax_dtype,
        scaled_decode=scaled_decode,
        limits=limits,
    )
    spec = as_spec(model)
    key = replace(spec, model_source=os.fspath(anchored(spec.model_source))), options
    while True:
        loading = _loading(key)
        try:
            module = loading.result()
            return module.forward(image, classes, resize=True, channel_order=channel_order)
        except (CancelledError, ModuleNotLoadedError):
            # Ctrl-C struck another thread while it loaded, or unload() came before this call's
            # turn: once more.
            if _kept.get(key) is loading:
                raise


def unload() -> None:
    """Frees the models that :func:`segment` has kept. Calls that are running finish on theirs."""
    for key in list(_kept):
        loading = _kept.pop(key, None)
        if loading is not None and loading.done() and not loading.cancelled():
            loading.result().delete()


def _loading(key: _Key) -> _Loading:
    """The module of a spec and options: what is kept, or loaded here."""
    ours = _Loading()
    spec, options = key
    try:
        loading = _kept.setdefault(key, ours)
        if loading is not ours:
            return loading
        module = ImageSegmentationModule(
            concurrency=options.concurrency,
            argmax_dtype=options.argmax_dtype,
            scaled_decode=options.scaled_decode,
            limits=options.limits,
        )
        module.load(spec)
        ours.set_result(module)
        return ours
    except BaseException as error:
        if _kept.get(key) is ours and not ours.done():
            del _kept[key]  # the next call tries again
            if isinstance(error, Exception):
                ours.set_exception(error)
            else:
                ours.cancel()
        raise
