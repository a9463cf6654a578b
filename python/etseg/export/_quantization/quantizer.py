"""Which layers compute in int8: executorch's quantizer for XNNPACK, with exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from etseg.export._lowering.program import quiet

_ANNOTATION = "quantization_annotation"
_ATEN = torch.ops.aten
_CLAMPS = (_ATEN.hardtanh.default, _ATEN.relu6.default)
_PRODUCTS = (_ATEN.conv2d.default, _ATEN.conv2d.padding, _ATEN.linear.default)


@dataclass(frozen=True)
class Layer:
    """What is quantized together: an operator, and an activation behind it.

    Attributes:
        name: of the operator's node.
        inputs: the nodes that it wants quantized: activations and weights.
        output: the node whose value it gives quantized; None if it does not.
    """

    name: str
    inputs: frozenset[str]
    output: str | None


def layers_of(graph: fx.GraphModule) -> tuple[Layer, ...]:
    """What the quantizer would quantize, in the order of the graph."""
    quantizer = _except(frozenset())
    with quiet():
        marked = quantizer.transform_for_annotation(deepcopy(graph))
        quantizer.annotate(marked)
    return _layers(marked)


def prepared(graph: fx.GraphModule, kept_in_float: AbstractSet[str]) -> fx.GraphModule:
    """The graph with observers, which watch what flows where something is to be quantized.

    Args:
        graph: as it was simplified; it stays as it is.
        kept_in_float: names of layers that are not.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    with quiet():
        return prepare_pt2e(deepcopy(graph), _except(kept_in_float))


def converted(observed: fx.GraphModule) -> fx.GraphModule:
    """What prepared() gave, once it has seen the calibration: with quantized operators."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    with quiet():
        return convert_pt2e(observed)


def watch(observed: fx.GraphModule, images: Iterable[torch.Tensor]) -> None:
    """Shows the observers what images look like inside the network."""
    with quiet(), torch.no_grad():
        for image in images:
            observed(image)


def _quantizer() -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))


def _except(kept_in_float: AbstractSet[str]) -> Any:
    """The quantizer, which takes its marks off again where a layer stays in float."""
    quantizer = _quantizer()
    annotate: Callable[[fx.GraphModule], fx.GraphModule] = quantizer.annotate

    def annotate_others(graph: fx.GraphModule) -> fx.GraphModule:
        annotate(graph)
        _merge_clamps(graph)
        nodes = {node.name: node for node in graph.graph.nodes}
        for layer in _layers(graph):
            if layer.name in kept_in_float:
                nodes[layer.name].meta.pop(_ANNOTATION, None)
                if layer.output is not None:
                    nodes[layer.output].meta.pop(_ANNOTATION, None)
        return graph

    quantizer.annotate = annotate_others
    return quantizer


def _merge_clamps(graph: fx.GraphModule) -> None:
    """A clamp right behind a convolution is one layer with it, as XNNPACK computes it.

    The quantizer does so for ReLU alone. MobileNetV2 has a ReLU6 behind each convolution, and what
    is beyond 6 would take a part of the 256 levels before it is cut off.
    """
    for node in graph.graph.nodes:
        mark = node.meta.get(_ANNOTATION)
        if node.target not in _CLAMPS or mark is None or mark.output_qspec is None:
            continue
        before = node.args[0]
        if before.target in _PRODUCTS and len(before.users) == 1 and _ANNOTATION in before.meta:
            mark.output_qspec = before.meta[_ANNOTATION].output_qspec
            mark.input_qspec_map = {}
            before.meta[_ANNOTATION].output_qspec = None


def _layers(graph: fx.GraphModule) -> tuple[Layer, ...]:
    found = []
    for node in graph.graph.nodes:
        mark = node.meta.get(_ANNOTATION)
        inputs = getattr(mark, "input_qspec_map", None)
        if not inputs:
            continue
        output: fx.Node | None = node
        if mark.output_qspec is None:  # it is that of the activation behind it
            behind = [user for user in node.users if user.meta.get(_ANNOTATION) is not None
                      and user.meta[_ANNOTATION].output_qspec is not None
                      and not user.meta[_ANNOTATION].input_qspec_map]  # fmt: skip
            output = behind[0] if behind else None
        names = frozenset(source.name for source in inputs)
        found.append(Layer(node.name, names, None if output is None else output.name))
    return tuple(found)
