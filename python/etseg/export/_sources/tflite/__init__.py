"""Segmentation networks of TensorFlow Lite, such as MediaPipe's, read from their .tflite files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from etseg._errors import FileReadError, InvalidModelSourceError
from etseg.export._sources.network import Network

_QUANTIZED = (
    "the network computes in 8 bits; its program does so in float32, within the same ranges, so "
    "that labels may differ where scores are close. For 8 bits, see int8"
)
_DROPPED = "the argmax at the network's end is left to etseg, which has it of the scores"
_UNSAID = (
    "the file does not say how its input is normalised: values 0..1 are taken; MediaPipe's want "
    "that, others mean 0.5 and std 0.5. Check it"
)


def from_tflite(path: Path, weights: str | os.PathLike[str] | None) -> Network:
    """The network in a .tflite file, rebuilt in torch, in float32.

    Raises:
        FileReadError: the file cannot be read.
        InvalidModelSourceError: it is no such file, weights were given (it has its own), or the
            network has an operator that is not known here, or not one image as input.
        ImportError: the package that knows the format is not installed.
    """
    if weights is not None:
        raise InvalidModelSourceError(
            f"weights are {os.fspath(weights)!r}, but a .tflite file has its own; leave them out"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileReadError(f"cannot read {str(path)!r}: {error.strerror}") from error
    from .file import read_graph
    from .network import Rebuilt

    graph = read_graph(data, str(path))
    module = Rebuilt(graph)
    last = graph.operators[-1].name
    fields: dict[str, Any] = {"name": path.stem}
    if last in ("LOGISTIC", "SOFTMAX"):
        fields["activation"] = "none"
    notes = []
    if graph.input_range is not None:
        fields |= _normalisation(*graph.input_range)
    if graph.ranges:
        notes.append(_QUANTIZED)
    if graph.dropped_argmax:
        notes.append(_DROPPED)
    _, height, width, _ = graph.shapes[graph.input]
    return Network(
        module.eval(), f"tflite {path.name}", (height, width), fields, tuple(notes), _UNSAID
    )


def _normalisation(low: float, high: float) -> dict[str, Any]:
    """Of pixels 0..1, so that they fill what an 8-bit input stands for."""
    std = 1 / (high - low)
    return {"mean": (-low * std,) * 3, "std": (std,) * 3}
