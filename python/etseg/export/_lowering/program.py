"""Lowering to a program, and what can be read off it."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx

from etseg._model.metadata import METHOD
from etseg.export._errors import ExportError
from etseg.export._graph.capture import exported, source_of
from etseg.export._input import blank
from etseg.export._lowering.backends import as_it_likes, partitioners
from etseg.export._options import InputFormat


@dataclass(frozen=True)
class Program:
    """A program's bytes, and what its graph was made into.

    Attributes:
        data: of the file.
        delegated: how many operators the backend runs.
        partitions: in how many calls of the backend.
        left: how many calls of each operator the runtime's own kernels run, most first.
        left_at: an example of each: where in the network's source it comes from.
        plan_bytes: of the memory for everything that is computed outside the backend.
    """

    data: bytes
    delegated: int
    partitions: int
    left: dict[str, int]
    left_at: dict[str, str]
    plan_bytes: int


def lower(
    graph: fx.GraphModule,
    size: tuple[int, int],
    backend: str,
    metadata: str,
    input_format: InputFormat = "float32-nchw",
) -> Program:
    """A program of the graph.

    Args:
        graph: takes an image.
        size: height and width.
        backend: that runs it, as far as it can.
        metadata: what the program says about itself.
        input_format: what the graph takes.

    Raises:
        ExportError: executorch refuses the graph.
    """
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    program = exported(as_it_likes(graph, backend), blank(size, input_format))
    try:
        with quiet():
            edge = to_edge_transform_and_lower(
                program,
                partitioner=partitioners(backend),
                constant_methods={METHOD: metadata},
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            lowered = edge.exported_program().graph_module
            delegated, partitions = _delegated(lowered)
            left, left_at = _left(lowered)
            finished = edge.to_executorch()
    except Exception as error:
        raise ExportError(
            f"executorch cannot lower the network: {_first_line(error)}. What to try: another "
            "size, or the part of the network that the message names written otherwise"
        ) from error
    sizes = [sum(plan.non_const_buffer_sizes)
             for plan in finished.executorch_program.execution_plan]  # fmt: skip
    return Program(bytes(finished.buffer), delegated, partitions, left, left_at, int(max(sizes)))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporters say about themselves, on stdout, stderr and in warnings."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _delegated(graph: fx.GraphModule) -> tuple[int, int]:
    calls = [node for node in graph.graph.nodes if _name(node) == "executorch_call_delegate"]
    inside = 0
    for call in calls:
        lowered = getattr(graph, str(call.args[0].target))
        inside += sum(
            node.op == "call_function" and node.target is not operator.getitem
            for node in lowered.original_module.graph.nodes
        )
    return inside, len(calls)


def _left(graph: fx.GraphModule) -> tuple[dict[str, int], dict[str, str]]:
    found: Counter[str] = Counter()
    places: dict[str, str] = {}
    for node in graph.graph.nodes:
        name = _name(node)
        if node.op != "call_function" or name in ("executorch_call_delegate", "getitem"):
            continue
        found[name] += 1
        places.setdefault(name, source_of(node))
    return dict(found.most_common()), places


def _name(node: fx.Node) -> str:
    target: Any = node.target
    if target is operator.getitem:
        return "getitem"
    name = getattr(target, "__name__", str(target))
    return str(name).removeprefix("aten.").removesuffix(".default")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:400]}" if lines else repr(error)
