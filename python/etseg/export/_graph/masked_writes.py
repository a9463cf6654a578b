"""Assignments by a mask, as a choice between two values for every element.

``x[mask] = value`` is traced as a list of the places where the mask holds, whose length depends on
the image, and a write to these. The runtime has neither; the choice it has.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

_ATEN = torch.ops.aten
#: What makes of a mask the indices of the places where it holds, one tensor for each axis.
_PLACES = (_ATEN.where.default, _ATEN.nonzero_numpy.default)


def choose_where_masked(graph: fx.GraphModule) -> int:
    """Rewrites every such assignment of a value that does not depend on the place; how many."""
    rewritten = 0
    for node in list(graph.graph.nodes):
        if node.target is not _ATEN.index_put.default or (len(node.args) > 3 and node.args[3]):
            continue
        whole, indices, value = node.args[:3]
        mask = _mask_of(indices)
        if mask is None:
            continue
        shape = list(mask.meta["val"].shape)
        inner = whole.meta["val"].dim() - len(shape)
        if value.meta["val"].dim() > inner and value.meta["val"].numel() != 1:
            continue
        with graph.graph.inserting_before(node):
            if inner > 0:
                mask = graph.graph.call_function(_ATEN.reshape.default, (mask, shape + [1] * inner))
            chosen = graph.graph.call_function(_ATEN.where.self, (mask, value, whole))
        chosen.meta = dict(node.meta)
        node.replace_all_uses_with(chosen)
        graph.graph.erase_node(node)
        rewritten += 1
    return rewritten


def _mask_of(indices: Any) -> fx.Node | None:
    """The mask whose places are written to; None if they are chosen otherwise."""
    first = indices[0]
    if first is None:
        return None
    if len(indices) == 1 and first.meta["val"].dtype is torch.bool:
        return first
    places = first.args[0] if first.target is operator.getitem else None
    if places is None or places.target not in _PLACES:
        return None
    mask: fx.Node = places.args[0]
    axes = range(mask.meta["val"].dim())
    ours = [(index.target, index.args) for index in indices if index is not None]
    if ours != [(operator.getitem, (places, axis)) for axis in axes]:
        return None
    return mask if mask.meta["val"].dtype is torch.bool else None
