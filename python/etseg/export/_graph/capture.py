"""A network becomes a graph: every operator by name, no Python left."""

from __future__ import annotations

import os
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from etseg.export._errors import ExportError
from etseg.export._input import blank
from etseg.export._options import InputFormat

#: What people have made of the failures of torch.export, by a word of the message.
_ADVICE = {
    "data-dependent": "a branch or shape depends on the image's values; make it depend on shapes "
    "alone, or take it out of forward()",
    "data dependent": "a branch or shape depends on the image's values; make it depend on shapes "
    "alone, or take it out of forward()",
    "must be divisible": "try another size",
    "divisible": "try another size",
    "size of tensor": "try another size, such as a multiple of 32",
    "Expected": "check the size, and that the network takes one image [1, 3, H, W]",
}
#: Files that a person who looks for the cause need not see: torch's, and these.
_NOT_THE_NETWORKS = (
    f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).resolve().parents[1]}{os.sep}", "<",
)  # fmt: skip


def capture(
    module: nn.Module, size: tuple[int, int], input_format: InputFormat = "float32-nchw"
) -> fx.GraphModule:
    """The graph of the network for images of one size, without side effects.

    Args:
        module: takes an image, returns a tensor; in eval mode.
        size: height and width.
        input_format: what the network takes.

    Raises:
        ExportError: torch cannot trace it; says where in its source, and what to try.
    """
    image = blank(size, input_format)
    program = exported(module, image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own calls
        return program.run_decompositions({}).module()


def exported(module: nn.Module, image: torch.Tensor) -> ExportedProgram:
    """torch.export, with errors that a person can act on.

    Raises:
        ExportError: torch cannot trace it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about its own calls
            return torch.export.export(module, (image,), strict=False)
    except Exception as error:  # whatever the network's own code raises, too
        message = str(error).strip() or type(error).__name__
        place = _place(error)
        advice = next((text for word, text in _ADVICE.items() if word in message), None)
        raise ExportError(
            f"the network cannot be exported{place}: {_first_sentences(message)}"
            + (f". What to try: {advice}" if advice else "")
        ) from error


def source_of(node: Any) -> str:
    """Where in the network's source a node comes from: "file.py, line 12, in forward", or ""."""
    trace = str(node.meta.get("stack_trace", "")).strip().splitlines()
    for line in reversed(trace):
        line = line.strip().removeprefix("File ")
        if line.startswith('"') and not line[1:].startswith(_NOT_THE_NETWORKS):
            return line.replace('"', "")
    return ""


def _place(error: BaseException) -> str:
    """The innermost line that is not torch's."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_NOT_THE_NETWORKS)
    ]
    if not frames:
        return ""
    frame = frames[-1]
    return f" ({frame.filename}:{frame.lineno}, in {frame.name}: {frame.line})"


def _first_sentences(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:3])[:500]
