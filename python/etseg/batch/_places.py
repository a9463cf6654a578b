"""Where inputs and outputs lie: local folders and object stores, behind pyarrow's file systems."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from etseg._errors import InvalidUserInputError
from etseg._uris import path_of_file_uri, scheme_of

from ._needs import needed


def is_local(place: str) -> bool:
    """Whether a place is a path or ``file://`` URI."""
    return scheme_of(place) in (None, "file")


def local_path(place: str) -> Path:
    """The absolute path of a local place; links stay as they are."""
    path = path_of_file_uri(place) if scheme_of(place) else Path(place)
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() follows links


def file_system(place: str) -> tuple[Any, str]:
    """The file system of a place, and the path in it.

    What pyarrow does not know itself, such as ``az://``, fsspec is asked for, if it is installed.

    Raises:
        InvalidUserInputError: neither knows the scheme, or the URI is malformed.
    """
    needed("pyarrow", "batch")
    from pyarrow import ArrowException, fs

    if is_local(place):
        return fs.LocalFileSystem(), str(local_path(place))
    try:
        found, path = fs.FileSystem.from_uri(place)
    except (ArrowException, ValueError, OSError) as error:
        try:
            import fsspec

            other, path = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError):
            raise InvalidUserInputError(f"cannot use {place!r}: {error}") from None
        found = fs.PyFileSystem(fs.FSSpecHandler(other))
    return found, path


def join(place: str, name: str) -> str:
    """A name inside a place."""
    return f"{place.rstrip('/')}/{name}"
