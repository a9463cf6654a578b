"""`etseg models`, `etseg fetch`, `etseg cache`: the files of models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from . import _cache, resources
from ._catalogue import APPROXIMATE_SIZES, CATALOGUE
from ._errors import EtsegError
from ._labels import LabelSet
from ._model_files import url_of
from ._spec import ModelSpec


@click.command()
def models() -> None:
    """List the models that go by name: size, number of classes, and where they are."""
    width = max(map(len, CATALOGUE))
    for name, spec in CATALOGUE.items():
        labels = LabelSet(spec.labels)  # type: ignore[arg-type]  # normalised by the spec
        size = _readable(APPROXIMATE_SIZES[name])
        click.echo(f"{name:<{width}}  {size:>8}  {len(labels):>2} classes  {_where(spec)}")


@click.command()
@click.argument("model", metavar="NAME|URL")
def fetch(model: str) -> None:
    """Download a model, so that it can be used without a network.

    Prints the path of the file. An interrupted download goes on where it stopped.
    """
    with _reported(), _progress_bar(model) as on_progress:
        path = resources.fetch(_spec(model), on_progress)
    click.echo(path)


@click.group()
def cache() -> None:
    """What was downloaded."""


@cache.command("path")
def cache_path() -> None:
    """Print the directory; the environment variable ETSEG_CACHE chooses another."""
    click.echo(resources.cache_directory())


@cache.command("list")
def cache_list() -> None:
    """List the downloaded models: size, SHA-256, URL, path."""
    for model in resources.list_downloaded_models():
        click.echo(f"{_readable(model.size):>8}  {model.sha256[:12]}  {model.url}  {model.path}")


@cache.command("clear")
@click.argument("models", metavar="[NAME|URL]...", nargs=-1)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def cache_clear(models: tuple[str, ...], yes: bool) -> None:
    """Remove these models from the cache; all of them where none is named."""
    with _reported():
        specs = [_spec(model) for model in models]
        if not specs and not yes:
            click.confirm(f"Remove everything in {resources.cache_directory()}?", abort=True)
        if specs:
            freed = resources.delete_resources(*specs)
        else:
            freed = sum(entry.delete() for entry in _cache.entries())
    click.echo(f"freed {_readable(freed)}")


def _spec(model: str) -> ModelSpec:
    if model in CATALOGUE:
        return CATALOGUE[model]
    if url_of(model) is None:
        raise click.UsageError(
            f"{model!r} is no http(s) URL and no known model; known: {', '.join(CATALOGUE)}"
        )
    return ModelSpec(model_source=model)


def _where(spec: ModelSpec) -> str:
    url = url_of(spec.model_source)
    if url is None:
        return "in the package"
    return "cached" if _cache.Entry.of(url).model.is_file() else "not downloaded"


def _readable(size: int) -> str:
    """In decimal units, as disks and networks are sold."""
    number, units = float(size), ["GB", "MB", "kB", "B"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop()
    return f"{number:.3g} {units[-1]}"


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except EtsegError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _progress_bar(label: str) -> Iterator[Callable[[float], object] | None]:
    """On a terminal only; on stderr, so that stdout is the answer."""
    if not sys.stderr.isatty():
        yield None
        return
    steps = 1000
    with click.progressbar(length=steps, label=label, file=sys.stderr) as bar:
        yield lambda progress: bar.update(round(progress * steps) - bar.pos)
