"""`etseg fetch`, `etseg cache`: the files of models.

What downloads is imported by those who need it: with TLS and the like it takes as long as all the
other modules of the command.
"""

from __future__ import annotations

from pathlib import Path

import click

from etseg._messages import source_for_people
from etseg._model.catalogue import CATALOGUE
from etseg._model.choosing import known_models
from etseg._model.files import url_of
from etseg._model.spec import ModelSpec

from .arguments import Command
from .common import (
    complete_model,
    download_bar,
    json_option,
    print_json,
    readable,
)
from .ending import Commands

_LIST_EPILOG = """\
\b
Fields of --json, a list of objects:
  kind     "model" or "packed weights"
  path     of the file
  size     in bytes
  url      of a model; null for packed weights
  sha256   likewise
"""


@click.command(cls=Command)
@click.argument("model", metavar="NAME|URL", shell_complete=complete_model)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def fetch(model: str, quiet: bool) -> None:
    """Download a model, so that it can be used without a network.

    Prints the path of the file. An interrupted download goes on where it stopped.
    """
    from etseg import resources

    with download_bar(model, quiet) as on_progress:
        path = resources.fetch(_spec(model), on_progress)
    click.echo(path)


@click.group(cls=Commands)
def cache() -> None:
    """Show and clear what was downloaded, and what was made of it."""


@cache.command("path")
@json_option('{"path": ...}')
def cache_path(as_json: bool) -> None:
    """Print the directory of the downloads.

    The environment variable ETSEG_CACHE chooses another.
    """
    from etseg import resources

    path = resources.cache_directory()
    if as_json:
        print_json({"path": str(path)})
    else:
        click.echo(path)


@cache.command("list", epilog=_LIST_EPILOG)
@json_option("the list")
def cache_list(as_json: bool) -> None:
    """List the downloaded models: size, SHA-256, URL, path. Then packed weights."""
    from etseg import resources

    models, weights = resources.list_downloaded_models(), resources.list_packed_weights()
    if as_json:
        rows: list[tuple[str, Path, int, str | None, str | None]] = [
            *(("model", model.path, model.size, model.url, model.sha256) for model in models),
            *(("packed weights", packed.path, packed.size, None, None) for packed in weights),
        ]
        fields = ("kind", "path", "size", "url", "sha256")
        print_json([dict(zip(fields, (r[0], str(r[1]), *r[2:]), strict=True)) for r in rows])
        return
    for model in models:
        click.echo(f"{readable(model.size):>8}  {model.sha256[:12]}  {model.url}  {model.path}")
    for packed in weights:
        click.echo(f"{readable(packed.size):>8}  {'packed':<12}  {packed.path}")


@cache.command("clear")
@click.argument("models", metavar="[NAME|URL]...", nargs=-1, shell_complete=complete_model)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option('{"freed": bytes}')
def cache_clear(models: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove these models from the cache.

    Where none is named, all of them, and all packed weights.
    """
    from etseg import resources
    from etseg._download import cache

    specs = [_spec(model) for model in models]
    if not specs and not yes:
        # The question is for a person: it does not belong to the answer.
        question = f"Remove all models and packed weights from {resources.cache_directory()}?"
        click.confirm(question, abort=True, err=True)
    if specs:
        freed = resources.delete_resources(*specs)
    else:
        freed = sum(entry.delete() for entry in cache.entries())
        freed += resources.delete_packed_weights()
    if as_json:
        print_json({"freed": freed})
    else:
        click.echo(f"freed {readable(freed)}")


def _spec(model: str) -> ModelSpec:
    if model in CATALOGUE:
        return CATALOGUE[model]
    if url_of(model) is None:
        raise click.UsageError(
            f"{source_for_people(model)!r} is no http(s) or hf:// URL and no known model; "
            f"{known_models(model)}"
        )
    return ModelSpec(model_source=model)
