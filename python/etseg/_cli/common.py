"""What the commands share: options, colours, errors, the bar of a download."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from etseg._errors import EtsegError
from etseg._model.catalogue import CATALOGUE
from etseg._model.choosing import known_models

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from etseg._model.spec import ModelSpec


class Failure(click.ClickException):
    """One line on stderr, and exit status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        context = click.get_current_context(silent=True)
        self._color = context.color if context else None

    def show(self, file: IO[Any] | None = None) -> None:
        """Red on a terminal."""
        error = click.style("Error:", fg="red", bold=True)
        click.echo(f"{error} {self.format_message()}", file, err=True, color=self._color)


@contextmanager
def reported() -> Iterator[None]:
    """An error of etseg's ends the command, without a traceback."""
    try:
        yield
    except EtsegError as error:
        raise Failure(str(error)) from error


def set_up_streams(context: click.Context) -> None:
    """NO_COLOR (no-color.org) and dumb terminals are heeded; no file's name breaks the output."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or ""
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Names that are not UTF-8 come out as the bytes they are.
            utf8 = encoding.lower().replace("-", "") == "utf8"
            reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def json_option(what: str) -> Callable[[Any], Any]:
    """--json, which becomes the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON.")


def print_json(value: object) -> None:
    """On one line, and ASCII: whatever reads it, in whatever encoding, reads the same."""
    import json

    click.echo(json.dumps(value, allow_nan=False))


def note(text: str, quiet: bool = False) -> None:
    """Something nice to know: for a person at a terminal, and nobody else."""
    if not quiet and sys.stderr.isatty():
        click.echo(text, err=True)


def readable(size: int) -> str:
    """Bytes in decimal units, as disks and networks are sold."""
    number, units = float(size), ["GB", "MB", "kB", "B"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop()
    return f"{number:.3g} {units[-1]}"


def can_draw() -> bool:
    """Whether stderr is a terminal where a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def model_of(name: str, option: str) -> ModelSpec | str:
    """The model of the catalogue, or the source as it was given.

    Raises:
        click.BadParameter: it is neither a model's name nor can it be a source.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if "/" not in name and not os.path.exists(name):  # noqa: PTH110  # any length
        raise click.BadParameter(
            f"{name!r} is no file and no known model; {known_models(name)}", param_hint=option
        )
    return name


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """For the shell: the names of the catalogue, or files where none begins so."""
    from click.shell_completion import CompletionItem

    names = [CompletionItem(name) for name in CATALOGUE if name.startswith(incomplete)]
    return names or click.Path().shell_complete(context, parameter, incomplete)


@contextmanager
def download_bar(label: str, quiet: bool = False) -> Iterator[Callable[[float], object] | None]:
    """What a download reports to. A bar on stderr, if that is a terminal and anything is to do."""
    if quiet or not can_draw():
        yield None
        return
    steps = 1000
    bar = click.progressbar(length=steps, label=label, file=sys.stderr)
    shown = False

    def update(progress: float) -> None:
        nonlocal shown
        if not shown and progress >= 1:  # it is here already
            return
        if not shown:
            shown = True
            bar.__enter__()
        bar.update(round(progress * steps) - bar.pos)

    try:
        yield update
    finally:
        if shown:
            bar.__exit__(*sys.exc_info())
