"""The way through an export: open, trace, cut, quantize, lower, compare, write."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import torch
from torch import fx

from etseg._errors import EtsegError
from etseg._model.metadata import written
from etseg._writing import write_whole

from ._errors import ExportError
from ._graph.cutting import Prepared, prepare
from ._job import Job, opened
from ._lowering.backends import partitioners
from ._lowering.program import Program, lower
from ._options import Options
from ._quantization.int8 import Quantized, quantized
from ._report import ExportReport
from ._verification.compare import compare, measure, random_photo
from ._verification.photos import Photo
from ._verification.runtime import Preprocessing

#: Of float32 programs: their scores and the network's may differ by this share of the largest.
_ROUNDING = 1e-3
#: Noise is not what networks are made for: activations are larger, and rounding with them.
_ROUNDING_OF_NOISE = 1e-2


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
    preprocessing = Preprocessing(
        job.size, job.spec.mean or (0.0,) * 3, job.spec.std or (1.0,) * 3,
        job.spec.resample or "antialias",
    )  # fmt: skip
    try:
        on_progress("tracing it")
        prepared = prepare(
            job.module, job.size, job.photos, preprocessing, options.low_stride,
            job.spec.activation or "softmax",
        )  # fmt: skip
        job = replace(job, spec=replace(job.spec, logits_grid=prepared.grid))
        on_progress("lowering it")
        program, in_int8, in_float_ms = _lowered(job, prepared.graph), None, None
        if options.quantize is not None:
            in_float_ms = _forward_ms(program, job.photos[0])
            on_progress("calibrating it")
            in_int8 = _quantized(job, prepared, preprocessing)
            on_progress("lowering it in int8")
            program = _lowered(job, in_int8.graph)
        on_progress("comparing the two")
        report: list[ExportReport] = []

        def write(file: BinaryIO) -> None:
            file.write(program.data)
            file.flush()
            path = Path(file.name)
            found = _compared(job, prepared, in_int8, program, path, preprocessing)
            report.append(replace(found, float_forward_ms=in_float_ms))
            _refuse_unless_equal(report[0], options.least_agreement)

        write_whole(options.path, write)
        return report[0]
    finally:
        preprocessing.close()


def _lowered(job: Job, graph: fx.GraphModule) -> Program:
    return lower(graph, job.size, partitioners(job.options.backend), written(job.spec))


def _forward_ms(program: Program, photo: Photo) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.pte"
        path.write_bytes(program.data)
        return measure(path, photo).forward_ms


def _quantized(job: Job, prepared: Prepared, preprocessing: Preprocessing) -> Quantized:
    return quantized(
        prepared.graph, job.module, job.calibration, job.photos, preprocessing,
        job.spec.activation or "softmax", prepared.grid, job.options.least_agreement,
    )  # fmt: skip


def _compared(
    job: Job,
    prepared: Prepared,
    in_int8: Quantized | None,
    program: Program,
    path: Path,
    preprocessing: Preprocessing,
) -> ExportReport:
    """The report of a program, which may agree with the network or not.

    Raises:
        ExportError: etseg cannot run it.
    """
    photos = (*job.photos, random_photo(job.size))
    try:
        comparisons = compare(path, job.spec, job.module, prepared.graph, photos, preprocessing)
        measured = measure(path, job.photos[0])
    except EtsegError as error:
        raise ExportError(f"etseg does not run the program: {error}") from error
    with torch.no_grad():
        shape = prepared.graph(torch.zeros(1, 3, *job.size)).shape
    agreement = sum(one.agreement for one in comparisons[:-1]) / len(job.photos)
    return ExportReport(
        path=job.options.path,
        network=job.network.title,
        backend=job.options.backend,
        quantized=job.options.quantize is not None,
        input_size=job.size,
        output_size=(int(shape[2]), int(shape[3])),
        channels=int(shape[1]),
        metadata=json.loads(written(job.spec)),
        cut=prepared.cut,
        photos=comparisons,
        agreement=agreement,
        file_bytes=len(program.data),
        plan_bytes=program.plan_bytes,
        load_ms=measured.load_ms,
        forward_ms=measured.forward_ms,
        float_forward_ms=None,
        delegated=program.delegated,
        partitions=program.partitions,
        left=program.left,
        left_at=program.left_at,
        float_layers=() if in_int8 is None else in_int8.choice.in_float,
        layers=0 if in_int8 is None else in_int8.layers,
        tried=() if in_int8 is None else in_int8.choice.tried,
        seconds=time.perf_counter() - job.start,
        peak_bytes=_peak_bytes(),
        notes=(*job.network.notes, *prepared.notes),
    )


def _refuse_unless_equal(report: ExportReport, least: float) -> None:
    def refused(why: str) -> ExportError:
        return ExportError(f"{why}; no file was written.\n{report.table()}", report=report)

    if not report.quantized:
        for one in report.photos:
            allowed = _ROUNDING if one is not report.photos[-1] else _ROUNDING_OF_NOISE
            if not one.scores_differ <= allowed * max(1.0, one.scores_reach):  # NaN, too
                raise refused(
                    f"on {one.photo!r} the program's scores differ from the network's by "
                    f"{one.scores_differ:.3g}"
                )
    if not report.agreement >= least:
        raise refused(
            f"the program gives {report.agreement:.2%} of the photos' pixels the network's label; "
            f"{least:.2%} were asked for"
        )


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
