"""Self-describing programs: what a ``.pte`` says about its own input and output.

A program may have a constant method ``etseg_metadata`` that returns a JSON object as a string::

    {
        "schema": 1,
        "name": "my-model",                   text
        "labels": ["sky", "road"],            names in channel order, or {"0": "sky", "1": "road"}
        "mean": [0.485, 0.456, 0.406],        red, green, blue, in units of 0..1
        "std": [0.229, 0.224, 0.225],         above 0
        "activation": "softmax",              or "sigmoid", "none"
        "background": "sky",                  a label's name or index
        "resample": "bilinear",               or "antialias"
        "licence": "Apache-2.0"               text
    }

Only "schema" must be there. What it says is the default; what a :class:`ModelSpec` says wins. Names
that start with "x-" are free for others; any other unknown name is an error, since it is most
likely a typing mistake. At export: ``to_executorch(...)`` of a program made with
``constant_methods={"etseg_metadata": json.dumps(...)}``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from etseg._errors import InvalidConfigError, InvalidModelError

from .spec import ModelSpec

_SCHEMA = 1
_FIELDS = (
    "name",
    "labels",
    "mean",
    "std",
    "activation",
    "background",
    "resample",
    "licence",
)


def complete(spec: ModelSpec, metadata: str, path: str) -> ModelSpec:
    """The spec, with what it leaves open taken from the program's metadata, if it has any.

    Raises:
        InvalidModelError: the metadata is malformed; the message says which field.
    """
    if not metadata:
        return spec
    described = _parse(metadata, path)
    missing = {
        field: getattr(described, field)
        for field in _FIELDS
        if getattr(spec, field) is None and getattr(described, field) is not None
    }
    return replace(spec, **missing)


def _parse(metadata: str, path: str) -> ModelSpec:
    try:
        content: Any = json.loads(metadata)
    except ValueError as error:
        raise _malformed(path, f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise _malformed(path, f"it is {type(content).__name__}; expected an object")
    if content.get("schema") != _SCHEMA:
        raise _malformed(
            path,
            f"'schema' is {content.get('schema')!r}; this version of etseg reads {_SCHEMA}",
        )
    fields = {
        key: value for key, value in content.items() if key != "schema" and not key.startswith("x-")
    }
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise _malformed(path, f"unknown fields {unknown}; known are {list(_FIELDS)}")
    for key in ("name", "licence"):
        if not isinstance(fields.get(key, ""), str):
            raise _malformed(path, f"{key!r} is {fields[key]!r}; expected text")
    try:
        return ModelSpec(model_source=path, **fields)
    except InvalidConfigError as error:
        raise _malformed(path, str(error)) from error


def _malformed(path: str, why: str) -> InvalidModelError:
    return InvalidModelError(
        f"the metadata in {path!r} (its method 'etseg_metadata') is malformed: {why}"
    )
