"""`etseg batch`: data sets, in parts that can be resumed."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from etseg._model.catalogue import CATALOGUE

from .arguments import Command
from .common import can_draw, complete_model, json_option, print_json, readable

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

    from etseg.batch import Estimate, Report

_EPILOG = """\
\b
Examples:
  etseg batch photos/ masks/
  etseg batch s3://bucket/photos s3://bucket/masks --engine ray
  etseg batch photos.parquet masks/ --column jpeg --outputs areas,mask_png

Needs pip install "etseg[batch]"; --engine ray needs "etseg[ray]". Run it again after any
end: it does what is missing. The exit status is 0 also where images could not be read: those are
rows of their own, and counted.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.argument("output")
@click.option(
    "--model",
    default="selfie-segmentation",
    show_default=True,
    metavar="NAME|FILE|URL",
    shell_complete=complete_model,
    help="A name of the catalogue (see etseg models), a .pte file, or the URL of one.",
)
@click.option("--classes", metavar="A,B", help="Labels to list; all where none is named.")
@click.option(
    "--outputs",
    default="areas,rle",
    show_default=True,
    metavar="A,B",
    help="Columns: areas, boxes, rle, mask_png. Size, error and timings are always there.",
)
@click.option("--column", metavar="NAME", help="Of Parquet inputs: the one of paths or bytes.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where it runs.",
    show_default=True,
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Of the Ray cluster; one that runs here, where none is named.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Of the cluster; as many as its CPUs."
)
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images that a worker segments at a time.",
)
@click.option(
    "--rows-per-part",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    metavar="N",
    help="What is done again after a kill.",
)
@click.option("--dry-run", is_flag=True, help="Count, and estimate from a sample. Writes nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option("the report")
def batch(
    inputs: tuple[str, ...],
    output: str,
    model: str,
    classes: str | None,
    outputs: str,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    column: str | None,
    **engine: Any,
) -> None:
    """Segment a data set into Parquet files.

    INPUT is a folder, a file, a pattern, a .txt file with a path a line, a .parquet file with a
    column of paths or bytes, or the URI of such in an object store. OUTPUT is a folder, or the URI
    of one.
    """
    from etseg import batch as jobs

    job: dict[str, Any] = {
        "inputs": inputs,
        "output": output,
        "model": CATALOGUE.get(model, model),
        "classes": _listed(classes or ""),
        "outputs": _listed(outputs),
        "column": column,
    }
    if dry_run:
        found = jobs.estimate(**job)
        if as_json:
            print_json(asdict(found))
        else:
            _say_estimate(found)
        return
    with _Bar(quiet) as bar:
        report = jobs.run(**job, **engine, on_progress=bar.update)
    if as_json:
        print_json(asdict(report))
    else:
        _say_report(report)


class _Bar:
    """On stderr, if that is a terminal; made when the number of inputs is known."""

    def __init__(self, quiet: bool) -> None:
        self._wanted = can_draw() and not quiet
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)

    def update(self, done: int, total: int) -> None:
        """What the job tells after each part."""
        if not self._wanted:
            return
        if self._bar is None:
            self._bar = click.progressbar(
                length=total, label="Segmenting", show_pos=True, show_eta=True, file=sys.stderr
            )
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)


def _listed(names: str) -> list[str]:
    return [name for name in map(str.strip, names.split(",")) if name]


def _say_report(report: Report) -> None:
    rate = f", {report.written / report.seconds:.0f} a second" if report.written else ""
    click.echo(
        f"{report.written} of {report.inputs} images written to {report.output} in "
        f"{report.seconds:.1f} s{rate}; {report.done_before} were there before"
    )
    for name, count in report.errors.items():
        click.echo(f"  {count} could not be segmented: {name}")


def _say_estimate(found: Estimate) -> None:
    click.echo(
        f"{found.inputs} images, {found.done_before} of them done. By a sample of {found.sampled}: "
        f"{found.images_per_second:.0f} a second on this machine, {found.seconds:.0f} s, "
        f"{readable(found.bytes)}"
    )
