"""A captured network, made as small as it can be without changing what it computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from etseg.export._options import InputFormat

from .batch_norm import fold_batch_norms
from .capture import capture
from .constants import drop_unused, fold_constants
from .masked_writes import choose_where_masked
from .tail import Tail, find_tail, output_node, return_only


@dataclass(frozen=True)
class Simplified:
    """A graph with one output.

    Attributes:
        graph: takes what the network does; returns [1, C, H', W'], or labels.
        tail: the upsampling that was cut off its end; None where it is as it was.
    """

    graph: fx.GraphModule
    tail: Tail | None


def simplified(
    module: nn.Module,
    size: tuple[int, int],
    cut: bool,
    input_format: InputFormat = "float32-nchw",
) -> Simplified:
    """The graph of a network: one output, batch norms and constants folded, nothing unused.

    What only fed other outputs goes, such as an auxiliary head of the training.

    Args:
        module: takes an image, returns a tensor; in eval mode.
        size: height and width.
        cut: whether an upsampling at the end is left to etseg.
        input_format: what the network takes.

    Raises:
        ExportError: torch cannot trace it.
    """
    graph = capture(module, size, input_format)
    tail = find_tail(graph) if cut else None
    return_only(graph, output_node(graph) if tail is None else tail.logits)
    choose_where_masked(graph)
    drop_unused(graph)
    with torch.no_grad():
        fold_constants(graph)
        fold_batch_norms(graph)
    drop_unused(graph)
    return Simplified(graph, tail)
