"""The models of a service, by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from etseg._limits import Limits
from etseg._model.catalogue import CATALOGUE
from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule

from ._problem import ProblemError


class Models:
    """Loaded modules. Loading and reloading block, and are for a thread."""

    def __init__(self, specs: Sequence[ModelSpec], concurrency: int, limits: Limits) -> None:
        self._specs = {name_of(spec): spec for spec in specs}
        self._modules = {
            name: ImageSegmentationModule(concurrency=concurrency, limits=limits)
            for name in self._specs
        }

    def load(self) -> None:
        """Loads all, or all anew: a model goes only when its successor is there.

        Requests that run meanwhile end on the model they began with.

        Raises:
            EtsegError: whatever loading raises; those loaded before stay.
        """
        for name, module in self._modules.items():
            module.load(self._specs[name])
            module.warmup()

    def delete(self) -> None:
        """Frees all."""
        for module in self._modules.values():
            module.delete()

    @property
    def are_loaded(self) -> bool:
        """Whether there is something to segment with."""
        return all(module.is_loaded for module in self._modules.values())

    def get(self, name: str | None) -> tuple[str, ImageSegmentationModule]:
        """A model by name; the first where none is named.

        Raises:
            ProblemError: 404: there is none of that name.
        """
        name = name or next(iter(self._modules))
        if name not in self._modules:
            raise ProblemError(404, f"no model {name!r}; there are {list(self._modules)}")
        return name, self._modules[name]

    def described(self) -> list[dict[str, Any]]:
        """All, for ``GET /v1/models``."""
        return [
            {
                "name": name,
                "input_size": list(module.input_size),
                "labels": [label.name for label in module.labels if label.name != "ARGMAX"],
                "licence": module.spec.licence,
                "in_catalogue": name in CATALOGUE,
            }
            for name, module in self._modules.items()
            if module.is_loaded
        ]


def name_of(spec: ModelSpec) -> str:
    """What requests call a model."""
    if spec.name:
        return spec.name
    return os.fspath(spec.model_source).rstrip("/").rsplit("/", 1)[-1].removesuffix(".pte")
