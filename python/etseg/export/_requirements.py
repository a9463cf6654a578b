"""Whether what the extra ``etseg[export]`` installs is here."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

#: Of ExecuTorch, whose runtime etseg has inside: a program of another version may not load.
EXECUTORCH = "1.5.1"

_NEEDED = ("torch", "executorch", "torchao")


#: Beside them, for a backend, and what installs them.
_OF_OPENVINO = ("openvino", "nncf")
INSTALL_OPENVINO = "pip install 'etseg[export-openvino]'"


def missing_for_openvino() -> tuple[str, ...]:
    """What lowering for OpenVINO needs and is not installed."""
    return tuple(name for name in _OF_OPENVINO if find_spec(name) is None)


def require(backend: str) -> None:
    """Raises what tells how to install what is missing.

    Raises:
        ModuleNotFoundError: torch, executorch or torchao is not installed; or what the backend
            needs.
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
    if backend == "openvino" and (packages := missing_for_openvino()):
        raise ModuleNotFoundError(
            f"backend='openvino' needs {', '.join(packages)}: {INSTALL_OPENVINO}", name=packages[0]
        )
