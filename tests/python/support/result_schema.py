"""result.schema.json, held against what etseg says of a result."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

SCHEMA = resources.files("etseg._results") / "result.schema.json"


def check_record(record: object) -> None:
    """Raises unless the schema describes it, with no field that the schema does not name."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    schema = _closed(json.loads(SCHEMA.read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(record)


def _closed(schema: Any) -> Any:
    """Published, it lets fields be added; here, one that was forgotten in it is an error."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
