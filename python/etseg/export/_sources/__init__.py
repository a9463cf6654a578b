"""From what a caller calls a network to a torch module and what is known of it."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn
from torch.export import ExportedProgram

from etseg._errors import InvalidModelSourceError

from .network import Network

__all__ = ["Network", "open_network"]

_EXPECTED = (
    "expected a torch.nn.Module, a torch.export.ExportedProgram, 'torchvision:NAME', "
    "'hf:NAME or FOLDER', 'smp:ARCHITECTURE/ENCODER', 'FILE.py:FACTORY', 'MODULE:FACTORY' or a "
    "file .pt2, .onnx or .tflite"
)


def open_network(
    network: object,
    weights: str | os.PathLike[str] | None,
    classes: int | None,
    size: tuple[int, int] | None = None,
) -> Network:
    """The network that was meant.

    Args:
        network: a module, an exported program, or a string or path that names one; see
            :func:`etseg.export.export`.
        weights: a file, or what the source calls its weights; None for the source's own.
        classes: how many there shall be, where the source lets one choose.
        size: that it shall be for, where the source has to know.

    Raises:
        InvalidModelSourceError: it is none of these, or there is no such network or weights.
        FileReadError: a file cannot be read.
    """
    if isinstance(network, nn.Module):
        from .python import from_module

        return from_module(network, weights)
    if isinstance(network, ExportedProgram):
        from .exported import from_program

        return from_program(network, weights)
    if not isinstance(network, (str, os.PathLike)):
        raise InvalidModelSourceError(f"the network is {network!r}; {_EXPECTED}")
    text = os.fspath(network)
    if Path(text).suffix == ".pt2":
        from .exported import from_file

        return from_file(Path(text), weights)
    if Path(text).suffix == ".onnx":
        from .onnx import from_onnx

        return from_onnx(Path(text), weights, size)
    if Path(text).suffix == ".tflite":
        from .tflite import from_tflite

        return from_tflite(Path(text), weights)
    scheme, colon, name = text.partition(":")
    if not colon or not name:
        raise InvalidModelSourceError(f"the network is {text!r}; {_EXPECTED}")
    if scheme == "torchvision":
        from .torchvision import from_torchvision

        return from_torchvision(name, weights, classes)
    if scheme == "hf":
        from .transformers import from_transformers

        return from_transformers(name, weights)
    if scheme == "smp":
        from .smp import from_smp

        return from_smp(name, weights, classes)
    from .python import from_factory

    return from_factory(text, weights)
