"""What `etseg segment` says: lines for people, JSON for programs, a bar for those who wait."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from etseg._cli.common import can_draw, print_json
from etseg._errors import EtsegError

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

    from etseg._results.made import Timings

    from .shares import Share

#: A line of a batch names no more labels than these, and those that were asked for.
_MOST = 4


@dataclass(frozen=True)
class Item:
    """What became of one photo: `error`, or everything else."""

    name: str
    error: EtsegError | None = None
    model: str = ""
    size: tuple[int, int] = (0, 0)
    shares: list[Share] = field(default_factory=list)
    timings: Timings | None = None
    written: Mapping[str, Path] = field(default_factory=dict)
    streamed: bytes | None = None  # what goes to stdout, instead of words

    def as_json(self) -> dict[str, Any]:
        """The fields that the command's help promises."""
        if self.error is not None:
            error = {
                "type": type(self.error).__name__,
                "code": int(self.error.code),
                "message": str(self.error),
            }
            return {"image": self.name, "error": error}
        assert self.timings is not None  # it has one or the other
        stages = ("decode", "preprocess", "inference", "postprocess", "total")
        return {
            "image": self.name,
            "error": None,
            "model": self.model,
            "width": self.size[1],
            "height": self.size[0],
            "labels": [
                {
                    "label": share.label,
                    "index": share.index,
                    "pixels": share.pixels,
                    "share": share.share,
                    "mean_probability": share.mean,
                    "box": share.box,
                    "rle": share.rle,
                }
                for share in self.shares
            ],
            "timings_ms": {stage: getattr(self.timings, stage) / 1e6 for stage in stages},
            "written": {
                "cutout" if kind == "composed" else kind: str(path)
                for kind, path in self.written.items()
            },
        }

    def reason(self) -> str:
        """Why it failed, with its name."""
        message = str(self.error)
        return message if self.name in message else f"{self.name}: {message}"


def print_one(item: Item) -> None:
    """A photo alone: a table of its labels, and how long it took."""
    assert item.timings is not None
    height, width = item.size
    click.echo(f"{width}x{height} pixels")
    name_width = max(len("label"), *(len(share.label) for share in item.shares))
    asked = any(share.mean is not None for share in item.shares)
    header = f"{'label':<{name_width}}  {'pixels':>7}" + ("  mean probability" * asked)
    click.echo(click.style(header, bold=True))
    for share in item.shares:
        mean = "" if share.mean is None else f"  {share.mean:>16.3f}"
        click.echo(f"{share.label:<{name_width}}  {share.share:7.2%}{mean}")
    stages = ("decode", "preprocess", "inference", "postprocess")
    times = (f"{stage} {getattr(item.timings, stage) / 1e6:.2f} ms" for stage in stages)
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
    height, width = item.size
    named = [
        share.label
        + f" {share.share:.2%}"
        + ("" if share.mean is None else f" (mean probability {share.mean:.3f})")
        for rank, share in enumerate(item.shares)
        if rank < _MOST or share.mean is not None
    ]
    if len(named) < len(item.shares):
        named.append(f"{len(item.shares) - len(named)} more")
    return f"{click.style(item.name, bold=True)}: {width}x{height}, {', '.join(named)}"
