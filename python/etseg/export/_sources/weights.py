"""Weights from a file into a module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from etseg._errors import FileReadError, InvalidModelSourceError
from etseg.export._errors import first_line

#: Where training scripts put the state among other things.
_NESTED = ("state_dict", "model_state_dict", "model", "state")
_SHOWN = 5


def load_weights(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Puts the state in a file (torch.save's, or safetensors) into the module.

    Names must be the module's own; those that training wrappers prefix with ``module.`` or
    ``_orig_mod.`` are taken as they were meant. A file made to do harm cannot: only tensors are
    read from it.

    Raises:
        FileReadError: the file cannot be read.
        InvalidModelSourceError: it holds no state, or that of another network.
    """
    state = _state_of(Path(path))
    for prefix in ("module.", "_orig_mod."):
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    own = module.state_dict()
    problems = [
        *_listed("misses", [name for name in own if name not in state]),
        *_listed("has, beyond the network,", [name for name in state if name not in own]),
        *_listed(
            "has in another shape",
            [f"{n} {tuple(state[n].shape)}, not {tuple(own[n].shape)}" for n in own
             if n in state and state[n].shape != own[n].shape],
        ),
    ]  # fmt: skip
    if problems:
        raise InvalidModelSourceError(
            f"the weights in {str(path)!r} are of another network: the file "
            + "; it ".join(problems)
        )
    module.load_state_dict(state)


def _state_of(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileReadError(f"cannot read the weights {str(path)!r}: {error.strerror}") from error
    except Exception as error:
        raise InvalidModelSourceError(
            f"{str(path)!r} holds no weights that torch reads safely ({first_line(error)}); "
            "expected what torch.save(network.state_dict(), path) writes, or safetensors"
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise InvalidModelSourceError(
            f"{str(path)!r} holds a {type(content).__name__}; expected a mapping of names to "
            "tensors, as network.state_dict() gives"
        )
    return dict(content)


def _listed(verb: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{verb} {', '.join(names[:_SHOWN])}{more}"]
