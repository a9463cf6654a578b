"""The local engine: one process, as many instances of the model as it has cores."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ._part import Done, PartWriter


def parts_done(parts: list[Any], writer: PartWriter) -> Generator[Done, None, None]:
    """The parts, one after the other; the images of each side by side."""
    for part in parts:
        yield writer.write(part)
