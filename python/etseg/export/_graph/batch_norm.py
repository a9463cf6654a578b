"""Batch normalisation goes into the convolution before it, whose weights are constant here."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .constants import constant_of, set_constant

_NORM = torch.ops.aten._native_batch_norm_legit_no_training.default
_CONVOLUTIONS = {
    torch.ops.aten.conv2d.default: False,
    torch.ops.aten.conv2d.padding: False,
    torch.ops.aten.conv_transpose2d.input: True,
}


def fold_batch_norms(graph: fx.GraphModule) -> int:
    """Folds every batch norm that alone reads a convolution; how many that were."""
    folded = 0
    for node in list(graph.graph.nodes):
        if node.target is not _NORM or not _only_its_value_is_read(node):
            continue
        convolution = node.args[0]
        transposed = _CONVOLUTIONS.get(convolution.target)
        if transposed is None or len(convolution.users) != 1:
            continue
        if transposed and (convolution.args[6] if len(convolution.args) > 6 else 1) != 1:
            continue  # grouped: torch's helper scales the wrong axis
        if _fold(graph, convolution, node, transposed):
            folded += 1
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return folded


def _fold(graph: fx.GraphModule, convolution: fx.Node, norm: fx.Node, transposed: bool) -> bool:
    _, scale, shift, mean, variance, _, epsilon = norm.args
    arguments: list[Any] = [*convolution.args, *[None] * (3 - len(convolution.args))]
    weight, bias = constant_of(graph, arguments[1]), constant_of(graph, arguments[2])
    stored = [constant_of(graph, value) for value in (mean, variance, scale, shift)]
    if weight is None or stored[0] is None or stored[1] is None:
        return False
    if arguments[2] is not None and bias is None:
        return False
    fused_weight, fused_bias = fuse_conv_bn_weights(
        weight, bias, stored[0], stored[1], epsilon, stored[2], stored[3], transposed
    )
    with graph.graph.inserting_before(convolution):
        arguments[1] = set_constant(graph, f"{convolution.name}_weight", fused_weight.detach())
        arguments[2] = set_constant(graph, f"{convolution.name}_bias", fused_bias.detach())
    convolution.args = tuple(arguments)
    for user in list(norm.users):
        user.replace_all_uses_with(convolution)
    return True


def _only_its_value_is_read(norm: fx.Node) -> bool:
    return all(user.target is operator.getitem and user.args[1] == 0 for user in norm.users)
