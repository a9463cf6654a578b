"""What a module is in a pickle: its options, and the spec of what is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._errors import EtsegError

if TYPE_CHECKING:
    from ._module import ImageSegmentationModule

#: Attributes that are of one module in one process; its _begin() makes them.
_OWN = ("_session", "_swap", "_workers", "_not_reopened")
_SPEC = "(spec)"


def state_of(module: ImageSegmentationModule) -> dict[str, Any]:
    """All other attributes, those of subclasses too, and the spec, None where nothing is loaded."""
    options = {name: value for name, value in vars(module).items() if name not in _OWN}
    session, failed = module._session, module._not_reopened
    if session is not None:
        return {**options, _SPEC: replace(session.spec, model_source=session.source)}
    return {**options, _SPEC: failed[0] if failed else None}


def restore(module: ImageSegmentationModule, state: dict[str, Any]) -> None:
    """Gives a new module the options, and loads what was loaded.

    Raises nothing on purpose, whatever load() does: multiprocessing.Pool would wait for ever for a
    task whose arguments do not unpickle.
    """
    spec = state[_SPEC]
    vars(module).update((name, value) for name, value in state.items() if name != _SPEC)
    if spec is not None:
        try:
            module.load(spec)
        except EtsegError as error:
            module._not_reopened = spec, error.with_traceback(None)
