"""Self-describing programs: what a ``.pte`` says about its own input and output.

A program may have a constant method ``etseg_metadata`` that returns a JSON object as a string::

    {
        "schema": 1,
        "name": "my-model",                   text
        "labels": ["sky", "road"],            names in channel order, or {"0": "sky", "1": "road"}
        "mean": [0.485, 0.456, 0.406],        red, green, blue, in units of 0..1; neither it nor
                                              "std" where the program takes bytes
        "std": [0.229, 0.224, 0.225],         above 0
        "activation": "softmax",              or "sigmoid", "normalise", "none"; "sigmoid" of many
                                              channels wants one label more, the last, for none of
                                              them; "normalise" is for scores of 0 or more
        "background": "sky",                  a label's name or index
        "resample": "bilinear",               or "antialias"
        "logits_grid": {"kind": "align-corners", "size": [513, 513]},
                                              or {"kind": "half-pixel"}, as where it is not said
        "licence": "Apache-2.0",              text
        "origin": "https://example.org/net"   text: where the weights come from
    }

Only "schema" must be there. What it says is the default; what a :class:`ModelSpec` says wins. Names
that start with "x-" are free for others; any other unknown name is an error, since it is most
likely a typing mistake. :func:`etseg.export.export` writes it; other exporters can, by
``constant_methods={"etseg_metadata": json.dumps(...)}``.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from etseg._errors import InvalidConfigError, InvalidModelError
from etseg._labels import LabelSet
from etseg._messages import brief

from .spec import LogitsGrid, ModelSpec

#: The constant method's name.
METHOD = "etseg_metadata"

_SCHEMA = 1
_FIELDS = (
    "name",
    "labels",
    "mean",
    "std",
    "activation",
    "background",
    "resample",
    "logits_grid",
    "licence",
    "origin",
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


def written(spec: ModelSpec) -> str:
    """What a program says about itself, for its method: every field that the spec has.

    What reads it is asked whether it can, so that no program is written that does not load.

    Raises:
        InvalidModelError: a field cannot be written; the message says which.
    """
    content: dict[str, Any] = {"schema": _SCHEMA}
    for field in _FIELDS:
        value = getattr(spec, field)
        if value is not None:
            content[field] = asdict(value) if isinstance(value, LogitsGrid) else value
    if isinstance(spec.labels, type):
        content["labels"] = [member.name for member in LabelSet(spec.labels).members]
    import json

    text = json.dumps(content)
    _parse(text, str(spec.model_source))
    return text


def _parse(metadata: str, path: str) -> ModelSpec:
    import json

    try:
        content: Any = json.loads(metadata)
    except ValueError as error:
        raise _malformed(path, f"it is not JSON: {error}") from error
    except RecursionError:
        raise _malformed(path, "it is nested too deeply") from None
    if not isinstance(content, dict):
        raise _malformed(path, f"it is {type(content).__name__}; expected an object")
    schema = content.get("schema")
    if type(schema) is not int or schema != _SCHEMA:
        raise _malformed(
            path, f"'schema' is {brief(schema)}; this version of etseg reads {_SCHEMA}"
        )
    fields = {
        key: value for key, value in content.items() if key != "schema" and not key.startswith("x-")
    }
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise _malformed(path, f"unknown fields {brief(unknown)}; known are {list(_FIELDS)}")
    for key in ("name", "licence", "origin"):
        if not isinstance(fields.get(key, ""), str):
            raise _malformed(path, f"{key!r} is {brief(fields[key])}; expected text")
    try:
        return ModelSpec(model_source=path, **fields)
    except InvalidConfigError as error:
        raise _malformed(path, str(error)) from error


def _malformed(path: str, why: str) -> InvalidModelError:
    return InvalidModelError(
        f"the metadata in {path!r} (its method 'etseg_metadata') is malformed: {why}"
    )
