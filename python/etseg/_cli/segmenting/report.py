"""What `etseg segment` says: lines for people, JSON for programs, a bar for those who wait."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from etseg._cli.common import can_draw, print_json
from etseg._errors import EtsegError
from etseg._labels import for_people

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

#: A line of a batch names no more labels than these, and those that were asked for.
_MOST = 4

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Item(NamedTuple):
    """What became of one photo: `error`, or everything else."""

    name: str
    error: EtsegError | None = None
    record: Mapping[str, Any] = _NOTHING  # SegmentationResult.to_dict()
    written: Mapping[str, Path] = _NOTHING
    streamed: bytes | None = None  # what goes to stdout, instead of words

    def as_json(self) -> dict[str, Any]:
        """The fields of docs/json.md, with those that are the command's own."""
        if self.error is not None:
            error = {
                "type": type(self.error).__name__,
                "code": int(self.error.code),
                "message": str(self.error),
            }
            return {"image": self.name, "error": error}
        written = {
            "cutout" if kind == "composed" else kind: str(path)
            for kind, path in self.written.items()
        }
        return {**self.record, "error": None, "written": written}

    def reason(self) -> str:
        """Why it failed, with its name."""
        message = str(self.error)
        return message if self.name in message else f"{self.name}: {message}"


def print_one(item: Item) -> None:
    """A photo alone: a table of its labels, and how long it took."""
    record = item.record
    click.echo(f"{record['width']}x{record['height']} pixels")
    labels = record["labels"]
    name_width = max(len("label"), *(len(for_people(each["label"])) for each in labels))
    asked = any(each["mean_probability"] is not None for each in labels)
    header = f"{'label':<{name_width}}  {'pixels':>7}" + ("  mean probability" * asked)
    click.echo(click.style(header, bold=True))
    for each in labels:
        mean = each["mean_probability"]
        told = "" if mean is None else f"  {mean:>16.3f}"
        click.echo(f"{for_people(each['label']):<{name_width}}  {each['share']:7.2%}{told}")
    stages = ("decode", "preprocess", "inference", "postprocess")
    times = (f"{stage} {record['timings_ms'][stage]:.2f} ms" for stage in stages)
    click.echo(click.style(", ".join(times), dim=True))


class Batch:
    """Reports on many photos, one after the other; a context, for the bar's sake."""

    def __init__(self, count: int, as_json: bool, quiet: bool) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._count = count
        self._as_json = as_json
        self._quiet = quiet
        self._start = perf_counter()
        self._stack = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if can_draw() and not self._quiet:
            bar: Any = click.progressbar(
                length=self._count,
                label="segmenting",
                width=30,  # so that all of the line fits into 80 columns
                show_pos=True,
                item_show_func=lambda _: f"{len(self.failed)} failed" if self.failed else None,
                file=sys.stderr,
            )
            self._bar = self._stack.enter_context(bar)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar = None
        self._stack.close()

    def add(self, item: Item) -> None:
        """One more."""
        if item.error is None:
            self.done += 1
        else:
            self.failed.append(item.reason())
        if self._as_json:
            self._print(item.as_json())
        elif item.error is None and not self._quiet:
            self._print(_line(item))
        if self._bar is not None:
            self._bar.update(1)

    def summary(self, aborted: bool = False) -> None:
        """To stderr. A person at a terminal is told of success, too."""
        took = perf_counter() - self._start
        told = f"{self.done} of {self._count} photos done"
        if self.failed:
            told += f", {len(self.failed)} failed"
        if aborted:
            click.echo(f"{click.style('Aborted:', fg='red', bold=True)} {told}", err=True)
        elif self.failed:
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {told}", err=True)
        elif sys.stderr.isatty() and not self._quiet:
            rate = f" in {took:.1f} s, {self.done / took:.3g} a second"
            click.echo(click.style(told, fg="green") + rate, err=True)
        for reason in self.failed:
            click.echo(f"  {reason}", err=True)

    def _print(self, what: str | dict[str, Any]) -> None:
        if self._bar is not None and sys.stdout.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)  # the bar comes again below the line
        if isinstance(what, str):
            click.echo(what)
        else:
            print_json(what)


def _line(item: Item) -> str:
    labels = item.record["labels"]
    named = [
        _told(each)
        for rank, each in enumerate(labels)
        if rank < _MOST or each["mean_probability"] is not None
    ]
    if len(named) < len(labels):
        named.append(f"{len(labels) - len(named)} more")
    size = f"{item.record['width']}x{item.record['height']}"
    return f"{click.style(item.name, bold=True)}: {size}, {', '.join(named)}"


def _told(label: dict[str, Any]) -> str:
    mean = label["mean_probability"]
    told = "" if mean is None else f" (mean probability {mean:.3f})"
    return f"{for_people(label['label'])} {label['share']:.2%}{told}"
