"""`etseg models`: which go by name, and what is known of one."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

import click

from etseg._labels import LabelSet
from etseg._messages import source_for_people
from etseg._model.catalogue import APPROXIMATE_SIZES, CATALOGUE
from etseg._model.files import locate, url_of
from etseg._model.spec import ModelSpec

from .arguments import Command
from .common import (
    Failure,
    complete_model,
    json_option,
    model_of,
    print_json,
    readable,
)

if TYPE_CHECKING:
    from pathlib import Path

_EPILOG = """\
\b
Fields of --json, a list of objects without an argument, one with it:
  name    what --model and etseg fetch take; null for a file without a name
  size    of the file in bytes; in the list roughly
  labels  names, in the order of their indices; null if they are not known
  where   "package", "cache", "file", or "internet": not downloaded
  url     of the file; null for those that have none
and with an argument:
  path        of the file; null if it is not here, as what it would tell
  input_size, output_size   height and width of images and maps
  mean, std   of red, green and blue, in units of 0..1; null for bytes
  pixels      what the program takes, "bytes" or "floats"; null if not known
  activation, resample, background, licence, origin   null if not known
  assumed     what nobody says, and is taken to be usual
  forward_ms  with --time: milliseconds of one forward here; else null
"""

#: How the places of models are called on the terminal.
_WHERE = {
    "package": "in the package",
    "cache": "cached",
    "file": "a file of yours",
    "internet": "not downloaded",
}
#: What takes more than a line; a path is one to be copied, however long.
_LONG = ("classes", "assumed")
#: Forwards that are timed.
_TIMES = 21


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("model", metavar="[NAME|FILE|URL]", required=False, shell_complete=complete_model)
@click.option("--time", "timed", is_flag=True, help="Run it, and say how long a forward takes.")
@json_option("the same")
def models(model: str | None, timed: bool, as_json: bool) -> None:
    """List the models that go by name, or tell what is known of one.

    The list has the size of their files, how many classes they tell apart, and where they are. The
    first use downloads a model; `etseg fetch` does so ahead of time, this never.
    """
    if model is None:
        if timed:
            raise click.UsageError("--time needs a model")
        _list(as_json)
        return
    from etseg._model.choosing import as_spec

    known = _known(as_spec(model_of(model, "MODEL")), timed)
    if as_json:
        print_json(known)
    else:
        _tell(known)


def _list(as_json: bool) -> None:
    if as_json:
        print_json([_entry(name, spec) for name, spec in CATALOGUE.items()])
        return
    width = max(map(len, CATALOGUE))
    for name, spec in CATALOGUE.items():
        classes = f"{len(_names(spec) or ()):>2} classes"
        size = readable(APPROXIMATE_SIZES[name])
        padded = click.style(name, bold=True) + " " * (width - len(name))
        click.echo(f"{padded}  {size:>8}  {classes}  {_WHERE[_where(spec)]}")


def _entry(name: str, spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": name,
        "size": APPROXIMATE_SIZES[name],
        "labels": _names(spec),
        "where": _where(spec),
        "url": url_of(spec.model_source),
    }


def _known(spec: ModelSpec, timed: bool) -> dict[str, Any]:
    """All that is known of one.

    Raises:
        Failure: it is not here, and not in the catalogue either; or it is to be run, and not here.
        EtsegError: it cannot be loaded.
    """
    where, url = _where(spec), url_of(spec.model_source)
    found: dict[str, Any] = {"name": spec.name, "size": None, "labels": None}
    found |= {"where": where, "url": url and source_for_people(url), "path": None}
    found |= {"input_size": None, "output_size": None, "assumed": [], "forward_ms": None}
    found["pixels"] = None
    if where == "internet":
        if timed or spec.name not in CATALOGUE:
            name = spec.name or source_for_people(os.fspath(spec.model_source))
            raise Failure(f"{name} is not here; download it first: etseg fetch {name}")
        found["size"] = APPROXIMATE_SIZES[spec.name]
    else:
        spec, of_file = _looked_at(spec, locate(spec, None), timed)
        found |= of_file
    found |= {"name": spec.name, "labels": _names(spec)}
    for field in ("mean", "std", "activation", "resample", "background", "licence", "origin"):
        found[field] = getattr(spec, field)
    if found["pixels"] == "bytes":  # which the program normalises itself
        found |= {"mean": None, "std": None}
    if isinstance(spec.background, int):
        found["background"] = found["labels"][spec.background]
    return found


def _looked_at(spec: ModelSpec, path: Path, timed: bool) -> tuple[ModelSpec, dict[str, Any]]:
    """What the file itself tells: its spec with nothing left open, and more."""
    from etseg._model.session import Session

    session = Session.open(spec, path, 1)
    found = {
        "path": str(path),
        "size": path.stat().st_size,
        "input_size": session.input_size,
        "output_size": session.output_size,
        "assumed": session.assumed,
        "forward_ms": None,
        "pixels": "bytes" if session.takes_bytes else "floats",
    }
    session.segmenter.close()
    if timed:
        found["forward_ms"] = _time(spec)
    return session.spec, found


def _time(spec: ModelSpec) -> float:
    """The median of some forwards on an image of the input's size, in milliseconds."""
    import numpy as np

    from etseg._module import ImageSegmentationModule

    with ImageSegmentationModule(spec) as module:
        module.warmup()
        image = np.full((*module.input_size, 3), 128, np.uint8)
        times = sorted(module.forward(image).timings.total for _ in range(_TIMES))
    return times[_TIMES // 2] / 1e6


def _tell(known: dict[str, Any]) -> None:
    """On the terminal: a line for each thing that is known."""
    labels = known["labels"]
    rows = {
        "name": known["name"] or "none",
        "file": f"{known['path'] or known['url']} ({readable(known['size'])}, "
        f"{_WHERE[known['where']]})",
        "input": _size(known["input_size"]) or "not known until it is downloaded",
        "output": _size(known["output_size"]),
        "classes": _classes(labels),
        "background": known["background"],
        "pixels": "0..255, the program normalises them itself" * (known["pixels"] == "bytes"),
        "mean": _numbers(known["mean"]),
        "std": _numbers(known["std"]),
        "activation": known["activation"],
        "licence": known["licence"] or _where_licence_is(known["origin"]),
        "origin": known["origin"] or (known["path"] and known["url"]),
        "assumed": "; ".join(known["assumed"]),
        "forward": known["forward_ms"] and f"{known['forward_ms']:.2f} ms, median of {_TIMES}",
    }
    for name, value in rows.items():
        if value:
            lines = textwrap.wrap(value, 66, break_on_hyphens=False) if name in _LONG else [value]
            click.echo(f"{click.style(f'{name:<10}', bold=True)} " + ("\n" + " " * 11).join(lines))


def _where_licence_is(origin: str | None) -> str:
    """Of a model of which it is not known."""
    at_page = origin is not None and "://" in origin
    return (
        "not known here; its origin's page says it" if at_page else "not said; ask where it is from"
    )


def _classes(labels: list[str]) -> str:
    count = len(labels)
    if labels == [f"CLASS_{index}" for index in range(count)]:
        return f"{count} without names: CLASS_0 to CLASS_{count - 1}"
    return f"{count}: {', '.join(labels)}"


def _size(size: tuple[int, int] | None) -> str:
    return f"{size[1]}x{size[0]} pixels" if size else ""


def _numbers(values: tuple[float, ...] | None) -> str:
    return " ".join(f"{value:g}" for value in values) if values else ""


def _names(spec: ModelSpec) -> list[str] | None:
    if spec.labels is None:
        return None
    labels = LabelSet(spec.labels)  # type: ignore[arg-type]  # normalised by the spec
    return [label.name for label in labels.members]


def _where(spec: ModelSpec) -> str:
    from etseg._download.cache import Entry

    url = url_of(spec.model_source)
    if url is None:
        return "package" if os.fspath(spec.model_source).startswith("bundled:") else "file"
    return "cache" if Entry.of(url).size() is not None else "internet"
