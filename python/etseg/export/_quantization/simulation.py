"""What a network returns with some of its layers in int8, without lowering it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import fx

from .quantizer import Layer

_Round = Callable[[torch.Tensor], torch.Tensor]


class Simulation:
    """An observed and calibrated graph, run with rounding where chosen layers ask for it."""

    def __init__(self, observed: fx.GraphModule, layers: Iterable[Layer]) -> None:
        self._graph = observed
        self._wanted: dict[str, frozenset[str]] = {}  # by which layers, of each observer's node
        self._rounds: dict[str, _Round] = {}
        modules = dict(observed.named_modules(remove_duplicate=False))
        for node in observed.graph.nodes:
            if node.op != "call_module":
                continue
            rounding = _rounding(modules[str(node.target)])
            if rounding is None:
                continue
            self._rounds[node.name] = rounding
            value, users = node.args[0].name, {user.name for user in node.users}
            self._wanted[node.name] = frozenset(
                layer.name
                for layer in layers
                if value == layer.output or (value in layer.inputs and layer.name in users)
            )

    def __call__(self, image: torch.Tensor, in_int8: AbstractSet[str]) -> torch.Tensor:
        """The scores of an image, with the layers of these names in int8."""
        active = {name for name, wanted in self._wanted.items() if wanted & in_int8}
        with torch.no_grad():
            scores: torch.Tensor = _Rounding(self._graph, active, self._rounds).run(image)
        return scores


class _Rounding(fx.Interpreter):
    def __init__(
        self, graph: fx.GraphModule, active: AbstractSet[str], rounds: dict[str, _Round]
    ) -> None:
        super().__init__(graph)
        self._active = active
        self._rounds = rounds

    def run_node(self, n: fx.Node) -> Any:
        """Observers round where they are active, and hand on what they get elsewhere."""
        if n.op != "call_module":
            return super().run_node(n)
        (value,) = self.fetch_args_kwargs_from_env(n)[0]
        return self._rounds[n.name](value) if n.name in self._active else value


def _rounding(observer: Any) -> _Round | None:
    """To the levels that an observer found; None for one that only holds a place."""
    if not hasattr(observer, "calculate_qparams") or observer.dtype not in (
        torch.int8, torch.uint8, torch.quint8, torch.qint8,
    ):  # fmt: skip
        return None
    scale, zero = observer.calculate_qparams()
    low, high = int(observer.quant_min), int(observer.quant_max)
    if scale.numel() > 1:
        axis = int(observer.ch_axis)
        return lambda x: torch.fake_quantize_per_channel_affine(
            x, scale, zero.to(torch.int32), axis, low, high
        )
    one, level = float(scale), int(zero)
    return lambda x: torch.fake_quantize_per_tensor_affine(x, one, level, low, high)
