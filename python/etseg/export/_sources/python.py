"""Networks of the caller's own: a module, or the function that makes one."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from torch import nn

from etseg._errors import FileReadError, InvalidModelSourceError
from etseg.export._errors import told

from .network import Network
from .weights import load_weights


def from_module(
    module: nn.Module, weights: str | os.PathLike[str] | None, title: str | None = None
) -> Network:
    """A module as it is; `weights` is a file that goes into it.

    Raises:
        FileReadError, InvalidModelSourceError: as :func:`load_weights` says.
    """
    if weights is not None:
        load_weights(module, weights)
    return Network(module.eval(), title or type(module).__name__)


def from_factory(text: str, weights: str | os.PathLike[str] | None) -> Network:
    """``FILE.py:FACTORY`` or ``MODULE:FACTORY``: what the function (or class) returns.

    Raises:
        FileReadError: there is no such file.
        InvalidModelSourceError: there is no such module or function, or it makes no network.
    """
    place, _, name = text.rpartition(":")
    module = _of_file(Path(place)) if place.endswith(".py") else _of_name(place)
    factory = getattr(module, name, None)
    if factory is None:
        raise InvalidModelSourceError(f"there is no {name!r} in {place!r}")
    network = factory if isinstance(factory, nn.Module) else None
    if network is None:
        if not callable(factory):
            raise InvalidModelSourceError(
                f"{name!r} in {place!r} is {factory!r}; expected a function that returns a "
                "torch.nn.Module"
            )
        try:
            network = factory()
        except Exception as error:  # whatever the caller's own code raises
            raise InvalidModelSourceError(f"{name}() in {place!r} fails: {told(error)}") from error
    if not isinstance(network, nn.Module):
        raise InvalidModelSourceError(
            f"{name!r} in {place!r} returns a {type(network).__name__}; expected a torch.nn.Module"
        )
    return from_module(network, weights, name if name != "build" else Path(place).stem)


def _of_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not name.startswith(error.name):
            raise  # it is there, and needs what is not
        raise InvalidModelSourceError(
            f"there is no Python module {name!r}; for a file, give its name with '.py', as in "
            "'network.py:build'"
        ) from None


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileReadError(f"there is no file {str(path)!r}")
    # Under a name of its own: a file called 'torch.py' must not become torch.
    name = f"etseg_network_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)  # as Python does for a script
    try:
        spec.loader.exec_module(module)
    except ImportError:
        raise  # says what is not installed
    except Exception as error:  # whatever the caller's own code raises
        raise InvalidModelSourceError(f"{str(path)!r} cannot be run: {told(error)}") from error
    finally:
        sys.path.remove(beside)
    return module
