"""The way through an export: open, trace, cut, build, compare, write."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from etseg._writing import write_whole

from ._building import Building, built
from ._fastest import fastest
from ._graph.cutting import prepare
from ._job import opened
from ._options import Options
from ._report import ExportReport
from ._verification.runtime import Eager, Preprocessing


def run(
    network: object,
    weights: str | os.PathLike[str] | None,
    options: Options,
    on_progress: Callable[[str], object],
) -> ExportReport:
    """See :func:`etseg.export.export`."""
    start = time.perf_counter()
    on_progress("opening the network")
    job = opened(network, weights, options, start)
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(Preprocessing(job.size, job.whole_spec, options.input_format))
        preprocessing = own
        if options.takes != options.input_format:
            preprocessing = stack.enter_context(Preprocessing(job.size, job.spec, options.takes))
        eager = Eager(job.whole, own, job.whole_spec.activation or "softmax")
        on_progress("tracing it")
        prepared = prepare(
            job.module, job.size, job.photos, preprocessing, options.low_stride,
            eager.activation, options.takes,
        )  # fmt: skip
        job = replace(job, spec=replace(job.spec, logits_grid=prepared.grid))
        with tempfile.TemporaryDirectory() as folder:
            building = Building(job, prepared, preprocessing, eager, Path(folder), on_progress)
            if options.backend == "auto":
                made = fastest(building)
            else:
                made = built(building, options.backend)
            data = made.path.read_bytes()
            write_whole(options.path, lambda file: file.write(data))
        return replace(made.report, seconds=time.perf_counter() - start)
