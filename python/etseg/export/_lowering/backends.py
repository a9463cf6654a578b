"""What runs a network: the backends that an export may choose from."""

from __future__ import annotations

from typing import Any

from torch import fx

from etseg.export._graph.rewrites import rewritten


def as_it_likes(graph: fx.GraphModule, backend: str) -> fx.GraphModule:
    """The graph with its operators written as a backend takes them; the one given stays."""
    return rewritten(graph, for_xnnpack=backend == "xnnpack")


def partitioners(backend: str) -> list[Any]:
    """What takes a graph apart for a backend, which has to be there."""
    if backend == "openvino":
        from executorch.backends.openvino.partitioner import OpenvinoPartitioner
        from executorch.exir.backend.compile_spec_schema import CompileSpec

        return [OpenvinoPartitioner([CompileSpec("device", b"CPU")])]
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return [XnnpackPartitioner()]
