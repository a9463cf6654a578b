"""An operator where it stands: what its builder asks, and what it says where it cannot build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from etseg._errors import InvalidModelSourceError

from .file import Constant, Graph, Operator


@dataclass(frozen=True)
class Builder:
    """An operator, and what is known where it stands.

    Attributes:
        graph: that it is of.
        known: constants, by their tensors' numbers.
        operator: to build.
    """

    graph: Graph
    known: dict[int, Constant]
    operator: Operator

    def constant(self, position: int) -> Constant:
        """An input that has to be one.

        Raises:
            InvalidModelSourceError: it is computed.
        """
        index = self.operator.inputs[position]
        if index not in self.known:
            raise self.refused(f"input {position} is computed; expected a constant")
        return self.known[index]

    def optional(self, position: int) -> torch.Tensor | None:
        """A constant that may be left out, such as a bias."""
        inputs = self.operator.inputs
        if position >= len(inputs) or inputs[position] < 0:
            return None
        return torch.from_numpy(self.constant(position).copy())

    def shape(self, position: int) -> tuple[int, ...]:
        """Of an input, as TensorFlow Lite has it."""
        return self.graph.shapes[self.operator.inputs[position]]

    @property
    def result(self) -> tuple[int, ...]:
        """The output's shape, as TensorFlow Lite has it."""
        return self.graph.shapes[self.operator.output]

    def refused(self, why: str) -> InvalidModelSourceError:
        """What is raised of an operator that is used in a way not known here."""
        operator = self.operator
        return InvalidModelSourceError(
            f"the network's operator {operator.name} (tensor {operator.output}, "
            f"{list(self.result)}): {why}. What to try: the network's source in torch, or as ONNX"
        )


def as_torch(value: Constant) -> torch.Tensor:
    """[N, H, W, C] as [N, C, H, W]; of fewer axes so that it broadcasts with those."""
    if value.ndim == 3:
        value = value[None]
    if value.ndim == 4:
        value = value.transpose(0, 3, 1, 2)
    elif value.ndim == 1:
        value = value[:, None, None]
    return torch.from_numpy(np.array(value, order="C"))  # torch wants one that can be written
