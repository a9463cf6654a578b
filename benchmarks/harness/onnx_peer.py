"""An exported program beside the same network in onnxruntime, each on one thread."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import etseg
from etseg.export._sources.network import FirstOutput

#: Of each, in turns.
_RUNS = 12
#: What onnxruntime's scores may differ by from torch's, as a share of the largest.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Beside:
    """Milliseconds of CPU of a forward at best, all threads of the process together.

    Attributes:
        etseg: from an image of the network's size to ARGMAX.
        onnxruntime: from the network's input to its output.
    """

    etseg: float
    onnxruntime: float


def beside(network: nn.Module, size: tuple[int, int], program: Path, folder: Path) -> Beside:
    """Both in one process, in turns; etseg's pool becomes one thread.

    Args:
        network: in torch, with the weights that the program was made of.
        size: of its input.
        program: as it was exported.
        folder: for the .onnx file.

    Raises:
        ValueError: onnxruntime computes something else than torch.
    """
    etseg.set_num_threads(1)
    path = folder / "network.onnx"
    planes = torch.rand(1, 3, *size)
    session = _session(network, planes, path)
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    with etseg.ImageSegmentationModule() as module:
        module.load(program)
        best = [np.inf, np.inf]
        for _ in range(_RUNS):
            turns = (
                lambda: module.forward(image),
                lambda: session.run(None, {"image": planes.numpy()}),
            )
            best = [min(old, _cpu(turn)) for old, turn in zip(best, turns, strict=True)]
    return Beside(*best)


def _session(network: nn.Module, planes: torch.Tensor, path: Path) -> onnxruntime.InferenceSession:
    first = FirstOutput(network).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's, about itself
        torch.onnx.export(
            first, (planes,), path, dynamo=False, opset_version=17, input_names=["image"]
        )
        expected = first(planes).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    differ = np.abs(session.run(None, {"image": planes.numpy()})[0] - expected).max()
    if not differ <= _ROUNDING * np.abs(expected).max():
        raise ValueError(f"onnxruntime's scores differ from torch's by {differ:.3g}")
    return session


def _cpu(turn: Callable[[], object]) -> float:
    start = time.process_time()
    turn()
    return (time.process_time() - start) * 1e3
