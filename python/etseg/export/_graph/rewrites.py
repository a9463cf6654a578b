"""What backends do not take as it is written, written so that they do.

A transformer's operators between those that XNNPACK has cost more than their arithmetic: each cuts
the network into one more call of the backend, with copies before and behind it.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import torch
from torch import fx

from .constants import drop_unused, set_constant

_ATEN = torch.ops.aten
#: Checks of the tracer, and copies that only training, or another dtype, would need.
_CHECKS = (_ATEN._assert_tensor_metadata.default,)


def rewritten(graph: fx.GraphModule, for_xnnpack: bool = True) -> fx.GraphModule:
    """A graph that computes the same but for rounding; the one given stays as it is.

    Without what only XNNPACK wants, it is rid of the tracer's checks and of copies alone.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own classes
        graph = deepcopy(graph)
    for node in list(graph.graph.nodes):
        if node.target in _CHECKS:
            graph.graph.erase_node(node)
        elif node.target is _ATEN.clone.default and "memory_format" not in node.kwargs:
            node.replace_all_uses_with(node.args[0])
        elif not for_xnnpack:
            continue
        elif node.target is _ATEN.layer_norm.default:
            _layer_norm(graph, node)
        elif node.target is _ATEN.matmul.default:
            _matmul(graph, node)
    drop_unused(graph)
    return graph


def _layer_norm(graph: fx.GraphModule, norm: fx.Node) -> None:
    """Over the last axis: the mean is a product with 1/C, which XNNPACK has; a mean it has not."""
    value, shape, *others = norm.args
    scale, shift, epsilon = (*others, *(None, None, 1e-5)[len(others) :])[:3]
    if len(shape) != 1:
        return
    channels = int(shape[0])
    call = graph.graph.call_function
    with graph.graph.inserting_before(norm):
        share = set_constant(graph, f"{norm.name}_share", torch.full((1, channels), 1 / channels))
        least = set_constant(graph, f"{norm.name}_least", torch.full((1,), float(epsilon)))
        mean = call(_ATEN.linear.default, (value, share))
        centred = call(_ATEN.sub.Tensor, (value, mean))
        squares = call(_ATEN.mul.Tensor, (centred, centred))
        variance = call(_ATEN.linear.default, (squares, share))
        inverse = call(_ATEN.rsqrt.default, (call(_ATEN.add.Tensor, (variance, least)),))
        result = call(_ATEN.mul.Tensor, (centred, inverse))
        if scale is not None:
            result = call(_ATEN.mul.Tensor, (result, scale))
        if shift is not None:
            result = call(_ATEN.add.Tensor, (result, shift))
    norm.replace_all_uses_with(result)


def _matmul(graph: fx.GraphModule, product: fx.Node) -> None:
    """Of many matrices, as many on both sides: without the broadcast that torch puts before it."""
    sides: Any = product.args
    shapes = [[int(length) for length in side.meta["val"].shape] for side in sides]
    if len(shapes[0]) < 4 or len(shapes[0]) != len(shapes[1]) or shapes[0][:-2] != shapes[1][:-2]:
        return
    call = graph.graph.call_function
    with graph.graph.inserting_before(product):
        flat = [
            call(_ATEN.reshape.default, (side, [-1, *shape[-2:]]))
            for side, shape in zip(sides, shapes, strict=True)
        ]
        result = call(_ATEN.bmm.default, tuple(flat))
        result = call(_ATEN.reshape.default, (result, [*shapes[0][:-1], shapes[1][-1]]))
    product.replace_all_uses_with(result)
