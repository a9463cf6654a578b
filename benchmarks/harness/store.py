"""The results file: parts measured apart are merged into one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.machine import machine

KEYS = ("model", "size", "source", "resize", "classes", "peer", "threads", "what")


def merge(path: Path, section: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Writes `rows` into the section of the file, over rows about the same; returns it all.

    Peers of one configuration are always measured together, so a merged row is never compared with
    one of another run.
    """
    document: dict[str, Any] = {}
    if path.exists():
        document = json.loads(path.read_text())
    about = [_about(row) for row in rows]
    kept = [row for row in document.get(section, []) if _about(row) not in about]
    document["machine"] = machine()
    document[section] = kept + rows
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(_rounded(document)))
    return document


def _text(document: dict[str, Any]) -> str:
    """JSON with a row on a line: a run differs from another by its rows."""
    parts = []
    for section, content in document.items():
        if isinstance(content, list):
            lines = ",\n".join("  " + json.dumps(row) for row in content)
            parts.append(f"{json.dumps(section)}: [\n{lines}\n ]")
        else:
            parts.append(f"{json.dumps(section)}: {json.dumps(content)}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _about(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(key) for key in KEYS)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
