"""One program of a network: lowered for a backend, in int8 if asked for, and compared with it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import fx

from etseg._errors import EtsegError
from etseg._model.metadata import written

from ._errors import ExportError
from ._graph.cutting import Prepared
from ._input import blank
from ._job import Job
from ._lowering.program import Program, lower
from ._quantization.int8 import Quantized, quantized
from ._report import ExportReport
from ._verification.compare import (
    at_image_size,
    compare,
    compare_labels,
    measure,
    random_photo,
)
from ._verification.profile import shares_of_time
from ._verification.runtime import Eager, Preprocessing

#: Of float32 programs: their scores and the network's may differ by this share of the largest.
_ROUNDING = 1e-3
#: Noise is not what networks are made for: activations are larger, and rounding with them.
_ROUNDING_OF_NOISE = 1e-2


@dataclass(frozen=True)
class Building:
    """What the programs of one export are made of.

    Attributes:
        job: the export.
        prepared: its graph, and what was done to it.
        preprocessing: of the programs.
        eager: the network that they are compared with.
        folder: to put them in, for the time being.
        on_progress: called with the name of each stage as it begins.
    """

    job: Job
    prepared: Prepared
    preprocessing: Preprocessing
    eager: Eager
    folder: Path
    on_progress: Callable[[str], object]


@dataclass(frozen=True)
class Built:
    """A program that agrees with its network, and the file it was compared from."""

    path: Path
    report: ExportReport


def built(building: Building, backend: str) -> Built:
    """A program for a backend, compared with the network.

    Raises:
        ExportError: it cannot be lowered or run, or does not agree; `report` says by how much.
    """
    job, say = building.job, building.on_progress
    say(f"lowering it for {backend}")
    program, in_int8, in_float_ms = _lowered(job, building.prepared.graph, backend), None, None
    path = building.folder / f"{backend}.pte"
    if job.options.quantize is not None:
        path.write_bytes(program.data)
        (in_float,) = measure([path], job.photos[0])
        in_float_ms = in_float.forward_ms
        say("calibrating it")
        in_int8 = _quantized(job, building.prepared, building.preprocessing)
        say("lowering it in int8")
        program = _lowered(job, in_int8.graph, backend)
    path.write_bytes(program.data)
    say("comparing the two")
    report = _compared(building, in_int8, program, backend, path)
    report = replace(report, float_forward_ms=in_float_ms)
    _refuse_unless_equal(report, job.options.least_agreement)
    return Built(path, report)


def _lowered(job: Job, graph: fx.GraphModule, backend: str) -> Program:
    return lower(graph, job.size, backend, written(job.spec), job.options.takes)


def _quantized(job: Job, prepared: Prepared, preprocessing: Preprocessing) -> Quantized:
    return quantized(
        prepared.graph, job.module, job.calibration, job.photos, preprocessing,
        job.spec.activation or "softmax", prepared.grid, job.options.least_agreement,
    )  # fmt: skip


def _compared(
    building: Building, in_int8: Quantized | None, program: Program, backend: str, path: Path
) -> ExportReport:
    """The report of a program, which may agree with the network or not.

    Raises:
        ExportError: etseg cannot run it.
    """
    job, prepared, eager = building.job, building.prepared, building.eager
    photos = (*job.photos, random_photo(job.size))
    notes = [*job.network.notes, *prepared.notes]
    try:
        if job.channels == 0:
            comparisons = compare_labels(path, eager, photos)
            if job.options.returns != "scores":
                notes.append(_coarse(at_image_size(path, eager, job.photos)))
        else:
            comparisons = compare(
                path, job.spec, eager, prepared.graph, photos, building.preprocessing
            )
        (measured,) = measure([path], job.photos[0])
    except EtsegError as error:
        raise ExportError(f"etseg does not run the program: {error}") from error
    # executorch's own runtime does not find OpenVINO.
    left_time = {}
    if program.left and backend == "xnnpack":
        try:
            left_time = shares_of_time(path, job.size, job.options.takes)
        except ExportError as error:  # the program itself is sound
            notes.append(f"what is left was not timed: {error}")
    with torch.no_grad():
        shape = prepared.graph(blank(job.size, job.options.takes)).shape
    agreement = sum(one.agreement for one in comparisons[:-1]) / len(job.photos)
    return ExportReport(
        path=job.options.path,
        network=job.network.title,
        backend=backend,
        quantized=job.options.quantize is not None,
        input_size=job.size,
        input_format=job.options.takes,
        output_size=(int(shape[-2]), int(shape[-1])),
        channels=job.channels,
        metadata=json.loads(written(job.spec)),
        cut=prepared.cut,
        photos=comparisons,
        agreement=agreement,
        file_bytes=len(program.data),
        plan_bytes=program.plan_bytes,
        load_ms=measured.load_ms,
        forward_ms=measured.forward_ms,
        float_forward_ms=None,
        tried_backends=(),
        delegated=program.delegated,
        partitions=program.partitions,
        left=program.left,
        left_at=program.left_at,
        left_time=left_time,
        float_layers=() if in_int8 is None else in_int8.choice.in_float,
        layers=0 if in_int8 is None else in_int8.layers,
        tried=() if in_int8 is None else in_int8.choice.tried,
        seconds=time.perf_counter() - job.start,
        peak_bytes=_peak_bytes(),
        notes=tuple(notes),
    )


def _coarse(kept: float) -> str:
    return (
        f"labels are not interpolated: at the photos' size {kept:.1%} of the pixels have the label "
        "that the network's scores, interpolated, give them"
    )


def _refuse_unless_equal(report: ExportReport, least: float) -> None:
    def refused(why: str) -> ExportError:
        return ExportError(f"{why}; no file was written.\n{report.table()}", report=report)

    if not report.quantized:
        for one in report.photos:
            if one.scores_differ is None or one.scores_reach is None:
                continue  # labels
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
