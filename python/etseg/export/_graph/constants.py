"""Constants of a graph: what is computed of weights alone is computed once, at export."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

#: What the tracer found to hold, and writes down: of shapes, and of numbers that they are made of.
_CHECKS = (torch.ops.aten._assert_scalar.default,)


def constant_of(graph: fx.GraphModule, node: Any) -> torch.Tensor | None:
    """The tensor that a node reads from the module; None for any other."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    owner, _, leaf = str(node.target).rpartition(".")
    value = getattr(graph.get_submodule(owner), leaf)
    return value if isinstance(value, torch.Tensor) else None


def set_constant(graph: fx.GraphModule, name: str, value: torch.Tensor) -> fx.Node:
    """A new constant of the module, read at the graph's insertion point."""
    name = "".join(letter if letter.isalnum() else "_" for letter in f"etseg_{name}")
    while hasattr(graph, name):
        name += "_"
    # contiguous() leaves the strides of axes of length 1 as they are, by which the exporter would
    # take [1, 1, H, W] for channels last, and XNNPACK for another shape.
    value = value.detach().clone(memory_format=torch.contiguous_format)
    graph.register_buffer(name, value)
    node = graph.graph.get_attr(name)
    node.meta["val"] = value
    return node


def drop_unused(graph: fx.GraphModule) -> None:
    """Takes out what computes nothing that is returned, and weights that nothing reads."""
    for node in list(graph.graph.nodes):
        of_the_shape = node.op == "call_module" and node.target == "_guards_fn"
        if of_the_shape or node.target in _CHECKS:
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    read = {node.target for node in graph.graph.nodes if node.op == "get_attr"}
    stored = [*graph.named_parameters(remove_duplicate=False),
              *graph.named_buffers(remove_duplicate=False)]  # fmt: skip
    for name, _ in stored:
        owner, _, leaf = name.rpartition(".")
        if name not in read:
            delattr(graph.get_submodule(owner), leaf)


def fold_constants(graph: fx.GraphModule) -> int:
    """Replaces what is computed of constants alone by its value; how many nodes that were."""
    folded = 0
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or not isinstance(node.meta.get("val"), torch.Tensor):
            continue
        inputs = [constant_of(graph, argument) for argument in node.all_input_nodes]
        if any(value is None for value in inputs):
            continue
        if not inputs and node.meta["val"].numel() > 1 << 20:
            continue  # a large filler is better made at run time than kept in the file
        with torch.no_grad():
            values = dict(zip(node.all_input_nodes, inputs, strict=True))
            arguments = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])  # noqa: B023
            result = node.target(*arguments[0], **arguments[1])
        with graph.graph.inserting_before(node):
            constant = set_constant(graph, node.name, result.detach().clone())
        node.replace_all_uses_with(constant)
        graph.graph.erase_node(node)
        folded += 1
    return folded
