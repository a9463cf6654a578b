"""The model that --model names, loaded."""

from __future__ import annotations

from dataclasses import replace

from etseg._cli.common import download_bar
from etseg._cli.values import names_of_labels
from etseg._compact import compact_module
from etseg._model.choosing import as_spec
from etseg._model.files import locate
from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule
from etseg._options import MAX_CONCURRENCY
from etseg._threads import get_num_threads

#: What the copies of a model's weights may take where nobody said how many there shall be, bytes.
_MOST_COPIES = 1_000_000_000


def loaded(
    model: ModelSpec | str, name: str, concurrency: int | None, photos: int, quiet: bool
) -> ImageSegmentationModule:
    """Ready, with maps of a byte a pixel where that suffices: many are in memory at a time."""
    with download_bar(name, quiet) as on_progress:
        path = locate(as_spec(model), on_progress)
    if concurrency is None:
        concurrency = min(get_num_threads(), photos, MAX_CONCURRENCY)
        if concurrency * path.stat().st_size > _MOST_COPIES:
            concurrency = 1
    return compact_module(model, concurrency=concurrency)


def described(
    model: ModelSpec | str,
    labels: str | None,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
) -> ModelSpec | str:
    """The model, with what the options say of it.

    Raises:
        EtsegError: the file of labels cannot be read, or they are none.
    """
    names = names_of_labels(labels)
    said = {"labels": names and tuple(names), "mean": mean, "std": std}
    said = {field: value for field, value in said.items() if value is not None}
    return replace(as_spec(model), **said) if said else model  # type: ignore[arg-type]
