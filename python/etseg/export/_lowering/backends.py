"""What runs a network: the backends that an export may choose from."""

from __future__ import annotations

from typing import Any


def partitioners(backend: str) -> list[Any]:
    """What takes a graph apart for a backend."""
    assert backend == "xnnpack"  # checked with the other options
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return [XnnpackPartitioner()]
