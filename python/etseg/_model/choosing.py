"""From whatever a caller calls a model to its spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from etseg._errors import InvalidConfigError, InvalidModelSourceError
from etseg._messages import brief

from .catalogue import CATALOGUE
from .spec import ModelSpec, Source

#: No more of a name is looked at.
_LONGEST_NAME = 100

Model = ModelSpec | Mapping[str, Any] | Source


def as_spec(model: Model) -> ModelSpec:
    """What load() was given, as a spec. A text that names a model of the catalogue is that one.

    Raises:
        InvalidModelSourceError: not a spec, a mapping with "model_source", or a source.
        InvalidConfigError: the mapping has a key that ModelSpec does not.
    """
    if isinstance(model, ModelSpec):
        return model
    if isinstance(model, str) and model in CATALOGUE:
        return CATALOGUE[model]
    if isinstance(model, (str, os.PathLike)):
        return ModelSpec(model_source=model)
    if not isinstance(model, Mapping) or "model_source" not in model:
        raise InvalidModelSourceError(
            f"the model is {_kind(model)}; expected a name such as 'selfie-segmentation', a "
            "ModelSpec, {'model_source': ...}, or a path, URI or URL"
        )
    known = {field.name for field in fields(ModelSpec)}
    unknown = sorted(set(model) - known, key=repr)
    if unknown:
        raise InvalidConfigError(f"unknown fields {brief(unknown)}; a model has {sorted(known)}")
    return ModelSpec(**model)


def known_models(name: str) -> str:
    """Of a name that no model of the catalogue has: those that may have been meant, or all."""
    from difflib import get_close_matches

    asked = name[:_LONGEST_NAME].casefold().replace("_", "-")
    near = [one for one in CATALOGUE if len(asked) > 2 and asked in one]
    near = near or get_close_matches(asked, CATALOGUE, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(CATALOGUE)}"


def _kind(model: object) -> str:
    """What was given in place of a model. Not all of it: there may be a URL with a password."""
    if model is None or isinstance(model, (int, float)):
        return brief(model)
    keys = f" with the keys {brief(list(model))}" if isinstance(model, Mapping) else ""
    return f"of type {type(model).__name__}{keys}"
