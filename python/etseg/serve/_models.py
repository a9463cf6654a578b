"""The models of a service, by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from etseg._compact import compact_module
from etseg._model.catalogue import CATALOGUE
from etseg._model.spec import ModelSpec
from etseg._module import ImageSegmentationModule
from etseg._options import ModuleKeywords

from ._problem import ProblemError


class Models:
    """Loaded modules. Loading and reloading block, and are for a thread.

    Args:
        specs: what to load.
        options: of each module, but for the type of its ARGMAX: uint8 where its labels fit.
    """

    def __init__(self, specs: Sequence[ModelSpec], options: ModuleKeywords) -> None:
        self._specs = {name_of(spec): spec for spec in specs}
        self._options = options
        self._modules: dict[str, ImageSegmentationModule] = {}

    def load(self) -> None:
        """Loads all, or all anew: those that are there go only when all successors are.

        Requests end on the model they began with, which goes with the last of them.

        Raises:
            EtsegError: whatever loading raises; those loaded before stay.
        """
        self._modules = {name: self._loaded(spec) for name, spec in self._specs.items()}

    def delete(self) -> None:
        """Frees all."""
        for module in self._modules.values():
            module.delete()

    @property
    def are_loaded(self) -> bool:
        """Whether there is something to segment with."""
        modules = self._modules.values()
        return bool(modules) and all(module.is_loaded for module in modules)

    def get(self, name: str | None) -> tuple[str, ImageSegmentationModule]:
        """A model by name; the first where none is named.

        Raises:
            ProblemError: 404: there is none of that name.
        """
        modules = self._modules
        name = name or next(iter(modules))
        if name not in modules:
            raise ProblemError(404, f"no model {name!r}; there are {list(modules)}")
        return name, modules[name]

    def _loaded(self, spec: ModelSpec) -> ImageSegmentationModule:
        """Its ARGMAX is uint8 where its labels fit: a quarter of the memory, and less time."""
        module = compact_module(spec, **self._options)
        module.warmup()
        return module

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
