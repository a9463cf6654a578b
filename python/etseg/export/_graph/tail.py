"""The end of a network: how its logits are brought to the image's size, which etseg does itself.

Most heads compute logits at a quarter or a sixteenth of the input's size and upsample them at the
end. etseg upsamples to the image's size in the pass that takes the argmax, from wherever it
starts: without the network's own upsampling the logits are smaller, and pixels are interpolated
once and not twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import fx
from torch.utils import _pytree

_ATEN = torch.ops.aten
#: What hands its first argument on as it is, for our purpose.
_TRANSPARENT = frozenset([
    _ATEN.clone.default, _ATEN.contiguous.default, _ATEN.alias.default, _ATEN.detach.default,
    _ATEN.dropout.default, _ATEN._to_copy.default, _ATEN.to.dtype, _ATEN.lift_fresh_copy.default,
])  # fmt: skip
_UPSAMPLES = frozenset([
    _ATEN.upsample_bilinear2d.vec, _ATEN.upsample_bilinear2d.default,
])  # fmt: skip

Grid = Literal["half-pixel", "align-corners"]


@dataclass(frozen=True)
class Tail:
    """An upsampling that a network ends in.

    Attributes:
        logits: the node that it reads.
        source: height and width before it.
        target: and after it.
        grid: where the logits lie in the image.
    """

    logits: fx.Node
    source: tuple[int, int]
    target: tuple[int, int]
    grid: Grid


def output_node(graph: fx.GraphModule) -> fx.Node:
    """The node that the graph's caller gets first."""
    end = next(node for node in graph.graph.nodes if node.op == "output")
    first: fx.Node = _pytree.tree_leaves(end.args[0])[0]
    return first


def find_tail(graph: fx.GraphModule) -> Tail | None:
    """The bilinear upsampling at the end of the network, if it ends in one.

    Also behind copies, casts, and transpositions that leave the order of the axes, or turn
    [1, C, H, W] into [1, H, W, C].
    """
    node, order = output_node(graph), [0, 1, 2, 3]
    while node.op == "call_function":
        if node.target in _TRANSPARENT:
            node = node.args[0]
        elif node.target in (_ATEN.permute.default, _ATEN.transpose.int):
            order = _reordered(node, order)
            node = node.args[0]
        else:
            break
    if node.target not in _UPSAMPLES or order not in ([0, 1, 2, 3], [0, 2, 3, 1]):
        return None
    logits: Any = node.args[0]
    source, target = _size(logits), _size(node)
    corners = bool(node.args[2])
    if source == target or not _scales_are_the_sizes(node, source, target):
        return None
    return Tail(logits, source, target, "align-corners" if corners else "half-pixel")


def return_only(graph: fx.GraphModule, node: fx.Node) -> None:
    """Makes `node` the graph's one output."""
    end = next(each for each in graph.graph.nodes if each.op == "output")
    end.args = ((node,),)
    code = graph.graph._codegen
    if hasattr(code, "pytree_info"):
        spec = _pytree.tree_flatten(0)[1]
        code.pytree_info = code.pytree_info._replace(out_spec=spec)
    graph.recompile()


def _reordered(node: fx.Node, order: list[int]) -> list[int]:
    """The axes that the result's axes are of the node's input, given those of its output."""
    rank = 4
    if node.target is _ATEN.permute.default:
        axes = [int(axis) % rank for axis in node.args[1]]
    else:
        axes = list(range(rank))
        first, second = (int(axis) % rank for axis in node.args[1:3])
        axes[first], axes[second] = axes[second], axes[first]
    return [axes[axis] for axis in order]


def _size(node: fx.Node) -> tuple[int, int]:
    height, width = node.meta["val"].shape[-2:]
    return int(height), int(width)


def _scales_are_the_sizes(node: fx.Node, source: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether it maps the whole grid onto the whole grid.

    A scale factor that does not divide evenly is used as it is by torch, not as the ratio of the
    sizes: such an upsampling ends a little off the image's edge.
    """
    if node.target is _ATEN.upsample_bilinear2d.vec:
        scales = node.args[3] if len(node.args) > 3 else None
    else:
        scales = node.args[3:5] if len(node.args) > 4 else None
    if scales is None or bool(node.args[2]):  # with align_corners torch ignores them
        return True
    return all(
        scale is None or scale * before == after
        for scale, before, after in zip(scales, source, target, strict=True)
    )
