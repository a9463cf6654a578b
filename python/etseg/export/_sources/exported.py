"""Networks that went through torch.export already: an ExportedProgram, or its .pt2 file."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch.export import ExportedProgram

from etseg._errors import FileReadError, InvalidModelSourceError
from etseg.export._lowering.program import quiet

from .network import Network


def from_file(path: Path, weights: str | os.PathLike[str] | None) -> Network:
    """What torch.export.save wrote.

    Raises:
        FileReadError: the file cannot be read.
        InvalidModelSourceError: it is no exported program, or not one of an image.
    """
    if not path.is_file():
        raise FileReadError(f"there is no file {str(path)!r}")
    try:
        with quiet():  # the loader logs whole tracebacks
            program = torch.export.load(path)
    except Exception as error:
        raise InvalidModelSourceError(
            f"{str(path)!r} is no program that this torch loads: {error}"
        ) from error
    return from_program(program, weights, path.stem)


def from_program(
    program: ExportedProgram, weights: str | os.PathLike[str] | None, title: str = "the program"
) -> Network:
    """An exported program: weights and size are in it.

    Raises:
        InvalidModelSourceError: weights were given, or its input is not one image.
    """
    if weights is not None:
        raise InvalidModelSourceError(
            f"weights are {os.fspath(weights)!r}, but an exported program has its own; leave them"
            " out"
        )
    names = program.graph_signature.user_inputs
    inputs = [n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"
              and n.name in names]  # fmt: skip
    shapes = [list(value.shape) for value in inputs if isinstance(value, torch.Tensor)]
    if len(shapes) != 1 or len(inputs) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3:
        raise InvalidModelSourceError(
            f"the exported program's inputs are {shapes}; expected one image [1, 3, H, W]"
        )
    height, width = shapes[0][2:]
    fixed = isinstance(height, int) and isinstance(width, int)
    module = program.module()
    for name in ("train", "eval"):  # these refuse, as it has no modes; torch's own do nothing to it
        vars(module).pop(name, None)
    return Network(module, title, (height, width) if fixed else None)
