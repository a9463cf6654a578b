"""What holds the model of a module: loaded, replaced, freed; opened again from a pickle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ._errors import EtsegError, ModuleNotLoadedError
from ._labels import LabelEnum
from ._model.choosing import Model, as_spec
from ._model.files import locate
from ._model.session import Session
from ._model.spec import ModelSpec
from ._options import ModuleOptions, shares
from ._running import at_exit
from ._running.threads import for_calls

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

#: Threads of forward_async() beside those that the model keeps busy: they read and decode.
_READERS = 2
#: Attributes that _begin() makes; they do not go into a pickle.
_OWN = ("_session", "_swap", "_threads", "_not_reopened")
#: What a pickle has beside the others: the spec of what was loaded, or None.
_SPEC = "(spec)"


class ModelHolder:
    """Holds a session, an immutable record of what is loaded, or none.

    A call reads the session once and works on that: load() and delete() replace it, and never
    change it.
    """

    def __init__(self, options: ModuleOptions) -> None:
        self._options = options
        self._begin()

    def load(
        self,
        model: Model,
        on_download_progress_callback: Callable[[float], object] | None = None,
    ) -> None:
        """Loads a model, in place of the one that is loaded.

        The one that is loaded goes only when the new one is ready: after an error it is still
        there. A file that is named as a published one takes from the catalogue what neither the
        spec nor the program's own metadata says. What nobody says is taken to be usual: the
        image is scaled to 0..1 (mean 0, std 1); the activation is "none" for one output channel,
        else "softmax"; 21 channels are :class:`DeeplabLabel`, one is
        :class:`SelfieSegmentationLabel`, any other number ``CLASS_0``, ``CLASS_1``, ...; a program
        that returns labels has 256 of those.

        A program is code: load only files that you trust, or whose SHA-256 you know.

        Args:
            model: a name of :data:`CATALOGUE`, such as "selfie-segmentation" (a file of that name
                is "./selfie-segmentation"), or one of its constants; a :class:`ModelSpec`; a
                mapping with its fields (``{"model_source": ...}``); or a path, ``file://`` URI or
                URL.
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

    @shares(load)
    async def load_async(
        self,
        model: Model,
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

    def delete(self) -> None:
        """Frees the model; :meth:`forward` raises until the next :meth:`load`.

        Returns at once: a call that runs finishes on the old model and frees it; calls that wait
        raise :class:`ModuleNotLoadedError`. Deleting twice does nothing.
        """
        self._replace(None)

    def trim(self) -> None:
        """Gives back memory that is kept to be used again.

        That of results that are gone, up to one result for each of ``concurrency``, and the scratch
        memory of instances that no call uses. The model stays loaded, and the next call takes
        again what it needs. Without a model it does nothing.
        """
        if (session := self._session) is not None:
            session.segmenter.trim()

    @property
    def is_loaded(self) -> bool:
        """Whether forward() has a model to run."""
        return self._session is not None

    @property
    def concurrency(self) -> int:
        """How many calls of forward() may run at the same time."""
        return self._options.concurrency

    @property
    def labels(self) -> LabelEnum:
        """The labels of the loaded model, an ``IntEnum`` in channel order with ARGMAX last."""
        return cast("LabelEnum", self._loaded().labels.enum)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that images are brought to."""
        return self._loaded().input_size

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the maps with ``resize=False``."""
        return self._loaded().output_size

    @property
    def has_probabilities(self) -> bool:
        """Whether there are probability maps; not where the program returns labels alone."""
        return self._loaded().has_probabilities

    @property
    def spec(self) -> ModelSpec:
        """The spec of the loaded model, with what was left open filled in."""
        return self._loaded().spec

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
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
        model: Model,
        on_progress: Callable[[float], object] | None,
    ) -> Session:
        spec = as_spec(model)
        path = locate(spec, on_progress, self._options.limits)
        shared = self._options.packed_weights == "file"
        session = Session.open(spec, path, self._options.concurrency, shared)
        at_exit.register(session.segmenter)
        return session

    def _replace(self, session: Session | None) -> None:
        if (old := self._exchange(session)) is not None:
            old.segmenter.close()

    def _exchange(self, session: Session | None) -> Session | None:
        """Puts `session` in place of the one that is returned, for the caller to close."""
        with self._swap:
            old, self._session = self._session, session
            self._not_reopened = None
        return old
