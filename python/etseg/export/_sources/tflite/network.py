"""The network of a .tflite file as a torch module: [1, 3, H, W] to [1, C, H', W'], float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import nn

from etseg._errors import InvalidModelSourceError

from .builder import Builder
from .file import Graph, Operator
from .operators import BUILDERS, MOVES

#: Fused activations, by their number in the schema.
_FUSED = {0: None, 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}


class Rebuilt(nn.Module):
    """The operators one by one, in torch's layout.

    Where TensorFlow Lite has [N, H, W, C], values here are [N, C, H, W]; those of fewer axes are
    as there.
    """

    def __init__(self, graph: Graph) -> None:
        """See the class.

        Raises:
            InvalidModelSourceError: an operator is not known here; the message names it.
        """
        super().__init__()
        self._input, self._output = graph.input, graph.output
        self._steps: list[
            tuple[tuple[int, ...], int, tuple[float | None, float | None] | None]
        ] = []
        self.operators = nn.ModuleList()
        known = dict(graph.constants)
        for operator in graph.operators:
            if operator.name == "DEQUANTIZE" and operator.inputs[0] in known:
                known[operator.output] = known[operator.inputs[0]]
                continue
            module = _built(Builder(graph, known, operator))
            computed = tuple(i for i in operator.inputs if i >= 0 and i not in known)
            self._steps.append((computed, operator.output, _limits(graph, operator)))
            self.operators.append(module)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of an image [1, 3, H, W]."""
        values = {self._input: image}
        for module, (inputs, output, limits) in zip(self.operators, self._steps, strict=True):
            result = module(*(values[index] for index in inputs))
            values[output] = result if limits is None else _clamped(result, limits)
        return values[self._output]


def _built(builder: Builder) -> nn.Module:
    operator = builder.operator
    build = BUILDERS.get(operator.name)
    if build is None:
        raise InvalidModelSourceError(
            f"the network has an operator {operator.name} (tensor {operator.output}, "
            f"{list(builder.graph.shapes[operator.output])}) that this reader does not know; it "
            f"knows {', '.join(sorted(BUILDERS))}. What to try: the network's source in torch, or "
            "as ONNX"
        )
    return build(builder)


def _limits(graph: Graph, operator: Operator) -> tuple[float | None, float | None] | None:
    """Least and largest value of the result: those of 8 bits, or of a fused activation."""
    if operator.name in MOVES:
        return None  # its values are those that it was given
    number = operator.options.get("FusedActivationFunction", 0)
    if operator.output in graph.ranges:
        return graph.ranges[operator.output]  # within which the activation is
    if number not in _FUSED:
        raise InvalidModelSourceError(
            f"an operator {operator.name} has the fused activation {number} of the schema; known "
            f"are {sorted(_FUSED)}"
        )
    return _FUSED[number]


def _clamped(value: torch.Tensor, limits: tuple[float | None, float | None]) -> torch.Tensor:
    low, high = limits
    if low == 0 and high is None:
        return F.relu(value)
    return F.hardtanh(value, low, high)
