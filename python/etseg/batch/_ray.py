"""The engine for many machines: Ray Data, with actors that hold the model.

The parts go to the actors as blocks that are in Ray's object store from the start. So no reading
task stands between them and the CPUs: all of those may be the actors', and nothing waits for one
that never comes.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from etseg._errors import InvalidStateError, InvalidUserInputError

from ._needs import needed
from ._part import Done, PartWriter


def parts_done(
    parts: list[Any],
    writer: PartWriter,
    address: str | None,
    workers: int | None,
    cpus_per_worker: int,
) -> Generator[Done, None, None]:
    """The parts in the order in which they come to be done, which is any.

    A worker or node that is lost has its part done again by another. A part may so be done twice:
    the caller takes the first.

    Raises:
        InvalidStateError: Ray is not installed, or the cluster has no room for one worker.
        InvalidUserInputError: a number of workers or CPUs that cannot be.
    """
    if cpus_per_worker < 1 or (workers is not None and workers < 1):
        raise InvalidUserInputError(
            f"workers is {workers!r} and cpus_per_worker {cpus_per_worker!r}; expected 1 or more"
        )
    ray = needed("ray", "ray")
    data = needed("ray.data", "ray")
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, log_to_driver=False)
    try:
        room = int(ray.cluster_resources().get("CPU", 0)) // cpus_per_worker
        if room < 1:
            raise InvalidStateError(
                f"no node of the cluster has {cpus_per_worker} CPUs for a worker; it has "
                f"{ray.cluster_resources().get('CPU', 0):g} in all"
            )
        if parts:
            context = data.DataContext.get_current()
            context.enable_progress_bars = False
            first = min(workers or room, len(parts))
            done = data.from_arrow(parts).map_batches(
                _Actor,
                fn_constructor_args=[writer],
                batch_size=None,
                batch_format="pyarrow",
                # More nodes may come: without a number of its own, the pool grows with them.
                compute=data.ActorPoolStrategy(min_size=first, max_size=workers),
                num_cpus=cpus_per_worker,
            )
            for row in done.iter_rows():
                yield Done(row["part"], row["staged"], row["rows"], json.loads(row["errors"]))
    finally:
        if started:
            ray.shutdown()


class _Actor:
    """A worker: makes parts, of whichever the block that it is given has rows."""

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer

    def __call__(self, block: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        done = [
            self._writer.write(block.filter(pc.equal(block["part"], number)))
            for number in block["part"].unique().to_pylist()
        ]
        rows = [{**d._asdict(), "errors": json.dumps(d.errors)} for d in done]
        return pa.Table.from_pylist(rows)
