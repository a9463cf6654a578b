"""segment(): from a photo to a result in one call, and the models that it keeps for the next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ._errors import ModuleNotLoadedError
from ._labels import Label
from ._model.choosing import Model, as_spec
from ._model.files import anchored
from ._model.spec import ModelSpec
from ._module import ImageSegmentationModule
from ._options import ModuleKeywords, ModuleOptions, options_of, shares
from ._results.result import SegmentationResult

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Unpack  # typing has it from 3.11 on

    _Loading = Future[ImageSegmentationModule]

_Key = tuple[ModelSpec, ModuleOptions]

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
    **options: Unpack[ModuleKeywords],
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
    from concurrent.futures import CancelledError  # here: see _loading()

    of_module = options_of("segment", options)
    spec = as_spec(model)
    key = replace(spec, model_source=os.fspath(anchored(spec.model_source))), of_module
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
    from concurrent.futures import Future  # here: it imports logging, which few processes need

    ours: _Loading = Future()
    spec = key[0]
    options: dict[str, Any] = vars(key[1])
    try:
        loading = _kept.setdefault(key, ours)
        if loading is not ours:
            return loading
        module = ImageSegmentationModule(**options)
        module.load(spec)
        ours.set_result(module)
        return ours
    except BaseException as error:
        if _kept.get(key) is ours:
            _kept.pop(key, None)  # the next call tries again
        if not ours.done():  # others may wait for it, also where unload() has taken it out
            if isinstance(error, Exception):
                ours.set_exception(error)
            else:
                ours.cancel()
        raise


# What is being loaded is so by a thread that a forked child does not have: nobody may wait for it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.clear)
