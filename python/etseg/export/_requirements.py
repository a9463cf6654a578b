"""Whether what the extra ``etseg[export]`` installs is here."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

#: Of ExecuTorch, whose runtime etseg has inside: a program of another version may not load.
EXECUTORCH = "1.5.1"

_NEEDED = ("torch", "executorch", "torchao")


def require() -> None:
    """Raises what tells how to install what is missing.

    Raises:
        ModuleNotFoundError: torch, executorch or torchao is not installed.
        ImportError: executorch is not the version whose runtime etseg has.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"exporting needs {', '.join(missing)}: pip install 'etseg[export]', in an environment "
            "that may grow by some gigabytes. Programs run without it",
            name=missing[0],
        )
    version = metadata.version("executorch")
    if version != EXECUTORCH:
        raise ImportError(
            f"executorch is {version}, but etseg's runtime is {EXECUTORCH}: "
            f"pip install executorch=={EXECUTORCH}",
            name="executorch",
        )
