"""The model that --model names, loaded."""

from __future__ import annotations

import os

import click

from etseg._cli.common import download_bar, known_models
from etseg._model.catalogue import CATALOGUE
from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule
from etseg._threads import get_num_threads

#: What the copies of a model's weights may take where nobody said how many there shall be, bytes.
_MOST_COPIES = 1_000_000_000
_MOST_INSTANCES = 256  # what a module allows


def loaded(
    model: ModelSpec | str, name: str, concurrency: int | None, photos: int, quiet: bool
) -> ImageSegmentationModule:
    """Ready, with maps of a byte a pixel where that suffices: many are in memory at a time."""
    from etseg import resources  # as late as in resources.py

    with download_bar(name, quiet) as on_progress:
        path = resources.fetch(model, on_progress)
    if concurrency is None:
        concurrency = min(get_num_threads(), photos, _MOST_INSTANCES)
        if concurrency * path.stat().st_size > _MOST_COPIES:
            concurrency = 1
    module = ImageSegmentationModule(concurrency=concurrency, argmax_dtype="uint8")
    module.load(model)
    if len(module.labels) - 1 > 256:  # without ARGMAX
        module = ImageSegmentationModule(concurrency=concurrency)
        module.load(model)
    return module


def model_of(name: str) -> ModelSpec | str:
    """The model of the catalogue, or the source as it was given.

    Raises:
        click.BadParameter: it is neither a model's name nor can it be a source.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if "/" not in name and not os.path.exists(name):  # noqa: PTH110  # any length
        raise click.BadParameter(
            f"{name!r} is no file and no known model; known: {known_models()}",
            param_hint="--model",
        )
    return name
