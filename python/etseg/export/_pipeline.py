"""The way through an export: open, trace, cut, quantize, lower, compare, write."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from etseg._errors import EtsegError, InvalidConfigError, InvalidUserInputError
from etseg._labels import LabelSet
from etseg._model.metadata import written
from etseg._model.spec import ModelSpec
from etseg._writing import write_whole

from ._errors import ExportError
from ._graph.cutting import Prepared, prepare
from ._lowering.backends import partitioners
from ._lowering.program import Program, lower
from ._options import Options
from ._report import ExportReport
from ._sources import Network, open_network
from ._sources.network import FirstOutput
from ._verification.compare import compare, measure, random_photo
from ._verification.photos import Photo, packaged_photos, read_photos
from ._verification.runtime import Preprocessing

#: Of float32 programs: their scores and the network's may differ by this share of the largest.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class _Job:
    """An export under way: what is settled before the network is traced."""

    network: Network
    module: nn.Module  # takes [1, 3, H, W], returns [1, C, H', W']
    size: tuple[int, int]
    spec: ModelSpec
    options: Options
    photos: tuple[Photo, ...]
    start: float


def run(
    network: object,
    weights: str | os.PathLike[str] | None,
    options: Options,
    on_progress: Callable[[str], object],
) -> ExportReport:
    """See :func:`etseg.export.export`."""
    start = time.perf_counter()
    on_progress("opening the network")
    job = _opened(network, weights, options, start)
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
        on_progress("lowering it")
        program = lower(prepared.graph, job.size, partitioners(options.backend), written(job.spec))
        on_progress("comparing the two")
        report: list[ExportReport] = []

        def write(file: BinaryIO) -> None:
            file.write(program.data)
            file.flush()
            report.append(_verified(job, prepared, program, Path(file.name), preprocessing))

        write_whole(options.path, write)
        return report[0]
    finally:
        preprocessing.close()


def _opened(
    network: object, weights: str | os.PathLike[str] | None, options: Options, start: float
) -> _Job:
    given = options.described
    classes = None
    if "labels" in given:
        classes = len(LabelSet(ModelSpec(model_source="", labels=given["labels"]).labels))  # type: ignore[arg-type]
    opened = open_network(network, weights, classes)
    size = options.size or opened.size
    if size is None:
        raise InvalidUserInputError(
            f"nothing says which size {opened.title} is for; give it: size=(height, width), --size"
        )
    module = FirstOutput(opened.module).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    channels = _channels(module, size)
    fields = {"activation": "none" if channels == 1 else "softmax", **opened.fields, **given}
    spec = ModelSpec(model_source=options.path, **fields)
    _check_labels(spec, channels)
    photos = packaged_photos() if options.photos is None else read_photos(options.photos)
    return _Job(opened, module, size, spec, options, photos, start)


def _channels(module: nn.Module, size: tuple[int, int]) -> int:
    """How many the network returns, run once.

    Raises:
        ExportError: it fails, or returns no scores of one image.
    """
    try:
        with torch.no_grad():
            scores = module(torch.zeros(1, 3, *size))
    except Exception as error:
        raise ExportError(
            f"the network fails on an image [1, 3, {size[0]}, {size[1]}]: "
            f"{type(error).__name__}: {error}. What to try: the size it was made for"
        ) from error
    if scores.dim() != 4 or scores.shape[0] != 1 or not scores.is_floating_point():
        raise ExportError(
            f"the network returns {scores.dtype} {list(scores.shape)}; expected scores of each "
            "class for each pixel, floating point [1, C, H, W]"
        )
    return int(scores.shape[1])


def _check_labels(spec: ModelSpec, channels: int) -> None:
    if spec.labels is None:
        return
    count, expected = len(LabelSet(spec.labels)), 2 if channels == 1 else channels  # type: ignore[arg-type]
    if count != expected:
        raise InvalidConfigError(
            f"there are {count} labels, but the network tells {expected} apart "
            f"(it returns {channels} channels)"
        )


def _verified(
    job: _Job, prepared: Prepared, program: Program, path: Path, preprocessing: Preprocessing
) -> ExportReport:
    """The report of a program that agrees with the network.

    Raises:
        ExportError: it does not; or etseg cannot run it.
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
    report = ExportReport(
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
        delegated=program.delegated,
        partitions=program.partitions,
        left=program.left,
        left_at=program.left_at,
        float_layers=(),
        seconds=time.perf_counter() - job.start,
        peak_bytes=_peak_bytes(),
        notes=(*job.network.notes, *prepared.notes),
    )
    _refuse_unless_equal(report, job.options.least_agreement)
    return report


def _refuse_unless_equal(report: ExportReport, least: float) -> None:
    def refused(why: str) -> ExportError:
        return ExportError(f"{why}; no file was written.\n{report.table()}", report=report)

    if not report.quantized:
        for one in report.photos:
            if not one.scores_differ <= _ROUNDING * max(1.0, one.scores_reach):  # NaN, too
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
