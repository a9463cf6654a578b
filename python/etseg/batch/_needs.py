"""Packages that only some of this folder need, and what to install where they are absent."""

from __future__ import annotations

import importlib
from typing import Any

from etseg._errors import InvalidStateError


def needed(module: str, extra: str) -> Any:
    """A module, imported.

    Raises:
        InvalidStateError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidStateError(
            f"this needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f'pip install "etseg[{extra}]"'
        ) from error
