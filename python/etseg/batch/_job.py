"""A job: what there is to do, who does it, and what came of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from etseg._download.disk import sha256_of
from etseg._errors import FileReadError, InvalidUserInputError
from etseg._labels import Label
from etseg._limits import Limits
from etseg._logs import logger as package_logger
from etseg._model.files import locate
from etseg._model.spec import LogitsGrid

from . import _local
from ._inputs import listed
from ._needs import needed
from ._output import Output
from ._part import Done, PartWriter
from ._rows import arrow_fields
from ._segmenter import Segmenter, WorkerKeywords, member_of

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from 3.11 on

#: How many inputs an estimate measures.
_SAMPLE = 16

logger = package_logger().getChild("batch._job")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a job did.

    Attributes:
        inputs: how many there are, each counted once.
        done_before: how many of them were in the output already.
        written: how many rows were added; with `done_before`, all inputs.
        errors: how many of the rows added are errors, by the name of the error.
        seconds: of work, from the first part that was begun to the last that was committed.
        output: where the parts lie.
    """

    inputs: int
    done_before: int
    written: int
    errors: Mapping[str, int] = field(default_factory=dict)
    seconds: float
    output: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job would do, from a sample of its inputs.

    Attributes:
        inputs: how many there are, each counted once.
        done_before: how many of them are in the output already.
        sampled: how many were segmented to tell the following.
        images_per_second: of this machine.
        seconds: for those that are missing, on this machine.
        bytes: of the parts to come.
    """

    inputs: int
    done_before: int
    sampled: int
    images_per_second: float
    seconds: float
    bytes: int


def run(
    inputs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: Any,
    *,
    classes: Iterable[Label] = (),
    outputs: Iterable[str] = ("areas", "rle"),
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: int = 1,
    column: str | None = None,
    resize: bool = True,
    rows_per_part: int = 512,
    on_progress: Callable[[int, int], object] | None = None,
    **options: Unpack[WorkerKeywords],
) -> Report:
    """Segments a data set into Parquet parts. Run again after any end, it does what is missing.

    A bad image is a row with an error. Each input is in the output once, by its key: the absolute
    path or URI of its file, or ``TABLE#ROW``. The columns are those of :class:`Segmenter`, behind
    ``key``.

    Args:
        inputs: one or many of: a folder, a file, a pattern, a ``.txt`` file with a path a line, a
            ``.parquet`` file with a column of paths or bytes, the URI of such in an object store.
        output: a folder, or the URI of one in an object store.
        model: as for :meth:`ImageSegmentationModule.load`. For "ray", a source that every node
            can read.
        classes: as for :class:`Segmenter`.
        outputs: as for :class:`Segmenter`.
        engine: "local" for this process, on all its cores; "ray" for a cluster.
        address: of the cluster, as for ``ray.init``; None for one that runs here, or a new one.
        workers: of the cluster, each a process; None for as many as its CPUs allow.
        cpus_per_worker: as it says; each worker segments so many images at a time.
        column: of Parquet inputs, as for :class:`Segmenter`.
        resize: as for :class:`Segmenter`.
        rows_per_part: the most rows of a part: what is done again after a kill.
        on_progress: called with the inputs done and all there are, after each part.
        options: `threads` and `max_pixels_in_hand` of :class:`Segmenter`, and those of
            :class:`ImageSegmentationModule`, such as ``limits``.

    Raises:
        InvalidUserInputError: an argument is not one of those above, or there is no input.
        InvalidStateError: the output was made by another model or with other options, another job
            writes to it, or a package is absent.
        FileReadError, FileWriteError: a place cannot be read, or written to.
        EtsegError: whatever loading the model raises.
    """
    if engine not in ("local", "ray"):
        raise InvalidUserInputError(f"engine is {engine!r}; expected 'local' or 'ray'")
    if unknown := options.keys() - WorkerKeywords.__annotations__.keys():
        raise TypeError(f"run() got an unexpected keyword argument {min(unknown)!r}")
    segmenter = Segmenter(model, classes, outputs, resize=resize, **options)
    table = listed(_several(inputs), column)
    target = Output(os.fspath(output))
    with target.locked():
        target.begin(_made_by(segmenter))
        missing, done_before = _missing(table, target)
        parts = _in_parts(missing, rows_per_part)
        writer = PartWriter(segmenter, target.place, column, options.get("limits", Limits()))
        if engine == "ray":
            from . import _ray

            work = _ray.parts_done(parts, writer, address, workers, cpus_per_worker)
        else:
            work = _local.parts_done(parts, writer)
        # Also when a commit or on_progress raises: left to the collector, Ray's iterator would end
        # after ray.shutdown() and start a cluster to do so.
        with closing(work):
            return _commit_all(work, target, len(table), done_before, on_progress)


def estimate(
    inputs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: Any,
    *,
    classes: Iterable[Label] = (),
    outputs: Iterable[str] = ("areas", "rle"),
    column: str | None = None,
    resize: bool = True,
    **options: Unpack[WorkerKeywords],
) -> Estimate:
    """What :func:`run` would do. Writes nothing.

    Args:
        inputs: as for :func:`run`, and so are the others.

    Raises:
        EtsegError: whatever :func:`run` raises before it begins.
    """
    if unknown := options.keys() - WorkerKeywords.__annotations__.keys():
        raise TypeError(f"estimate() got an unexpected keyword argument {min(unknown)!r}")
    segmenter = Segmenter(model, classes, outputs, resize=resize, **options)
    table = listed(_several(inputs), column)
    target = Output(os.fspath(output))
    missing, done_before = _missing(table, target)
    step = max(1, len(missing) // _SAMPLE)
    sample = missing.take(list(range(0, len(missing), step))[:_SAMPLE])
    writer = PartWriter(segmenter, target.place, column, options.get("limits", Limits()))
    segmenter.load().warmup()
    start = perf_counter()
    rows = writer.rows(sample)
    seconds = perf_counter() - start
    per_second = len(sample) / seconds if rows else 0.0
    return Estimate(
        inputs=len(table),
        done_before=done_before,
        sampled=len(sample),
        images_per_second=per_second,
        seconds=len(missing) / per_second if rows else 0.0,
        bytes=_bytes_of(rows, segmenter.outputs) * len(missing) // max(1, len(sample)),
    )


def _commit_all(
    work: Iterable[Done],
    target: Output,
    total: int,
    done_before: int,
    on_progress: Callable[[int, int], object] | None,
) -> Report:
    errors: Counter[str] = Counter()
    committed: set[int] = set()
    number, written = target.next_number(), 0
    start = perf_counter()
    for done in work:
        if done.part in committed:  # a worker that was thought lost had come to its end
            target.drop(done.staged)
            continue
        target.commit(done.staged, number)
        committed.add(done.part)
        number, written = number + 1, written + done.rows
        errors.update(done.errors)
        if on_progress is not None:
            on_progress(done_before + written, total)
    seconds = perf_counter() - start
    target.finish()
    return Report(
        inputs=total,
        done_before=done_before,
        written=written,
        errors=dict(errors.most_common()),
        seconds=seconds,
        output=target.place,
    )


def _missing(table: Any, target: Output) -> tuple[Any, int]:
    """The inputs that are not in the output, and how many are."""
    import pyarrow.compute as pc

    there = pc.is_in(table["key"], value_set=target.keys().combine_chunks())
    missing = table.filter(pc.invert(there))
    return missing, len(table) - len(missing)


def _in_parts(missing: Any, rows: int) -> list[Any]:
    """Tables of at most `rows` inputs, each with its number as a column."""
    pa = needed("pyarrow", "batch")
    if not isinstance(rows, int) or rows < 1:
        raise InvalidUserInputError(f"rows_per_part is {rows!r}; expected an integer, 1 or more")
    parts = []
    for number, start in enumerate(range(0, len(missing), rows)):
        part = missing.slice(start, rows).combine_chunks()
        numbers = pa.array([number] * len(part), pa.int64())
        parts.append(part.append_column("part", numbers))
    return parts


def _made_by(segmenter: Segmenter) -> dict[str, Any]:
    """What rows depend on: the program's content and all that says how it is used."""
    module = segmenter.load()
    spec = module.spec
    grid = spec.logits_grid or LogitsGrid()
    path = locate(segmenter.model, None, Limits())
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise FileReadError(f"cannot read the model {str(path)!r}: {error.strerror}") from error
    labels = [label.name for label in module.labels if label.name != "ARGMAX"]
    wanted = sorted(int(member_of(module.labels, label)) for label in segmenter.classes)
    return {
        "model_sha256": digest,
        "labels": labels,
        "mean": list(spec.mean or ()),
        "std": list(spec.std or ()),
        "activation": spec.activation,
        "resample": spec.resample,
        # None as usual: the manifests of earlier versions do not have these.
        "logits_grid": None if grid == LogitsGrid() else [grid.kind, *(grid.size or ())],
        "scaled_decode": None if segmenter.scaled_decode else False,
        "classes": [labels[index] for index in wanted],
        "outputs": list(segmenter.outputs),
        "resize": segmenter.resize,
    }


def _bytes_of(rows: list[dict[str, Any]], outputs: tuple[str, ...]) -> int:
    """Of rows as Parquet, compressed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(arrow_fields(outputs))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink, compression="zstd")
    return int(sink.getvalue().size)


def _several(
    inputs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
) -> list[str | os.PathLike[str]]:
    if isinstance(inputs, (str, os.PathLike)):
        return [inputs]
    return list(inputs)
