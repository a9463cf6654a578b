"""From the source of a model to a file on this machine, checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from ._errors import DownloadError, FileReadError, InvalidModelError, InvalidModelSourceError
from ._spec import ModelSpec
from ._uris import path_of_file_uri, scheme_of

_BUNDLED = "bundled:"


def locate(spec: ModelSpec, on_progress: Callable[[float], object] | None) -> Path:
    """The file of a model. Reports 1.0 to `on_progress` once it is there.

    Raises:
        InvalidModelSourceError: the source is of no known kind.
        FileReadError: there is no such file, or it cannot be read.
        InvalidModelError: the file is not the one whose SHA-256 the spec has.
        DownloadError: the source is a URL.
    """
    path = _path_of(spec)
    if not path.is_file():
        found = "it is a directory" if path.is_dir() else "there is no such file"
        raise FileReadError(f"cannot read the model {str(path)!r}: {found}")
    if spec.sha256 is not None:
        _check_sha256(path, spec.sha256)
    if on_progress is not None:
        on_progress(1.0)
    return path


def _path_of(spec: ModelSpec) -> Path:
    source = os.fspath(spec.model_source)
    if source.startswith(_BUNDLED):
        return _bundled(source.removeprefix(_BUNDLED))
    scheme = scheme_of(source)
    if scheme == "file":
        return path_of_file_uri(source)
    if scheme in ("http", "https"):
        raise DownloadError(
            f"this version of etseg does not download models yet. Download {source} yourself and "
            "load it with dataclasses.replace(spec, model_source='/path/to/it')"
        )
    if scheme is not None:
        raise InvalidModelSourceError(
            f"the model source {source!r} has the scheme {scheme!r}; expected a path, a file:// "
            "URI or an http(s) URL"
        )
    if not source:
        raise InvalidModelSourceError("the model source is empty; expected a path, URI or URL")
    return Path(source)


def _bundled(name: str) -> Path:
    folder = resources.files(__package__) / "_models"
    programs = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".pte"))
    if name not in programs:
        raise InvalidModelSourceError(f"no program {name!r} is bundled; there are {programs}")
    return Path(str(folder / name))


def _check_sha256(path: Path, expected: str) -> None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileReadError(f"cannot read the model {str(path)!r}: {error.strerror}") from error
    if digest.hexdigest() != expected:
        raise InvalidModelError(
            f"{str(path)!r} has SHA-256 {digest.hexdigest()}, but the spec expects {expected}: the "
            "file is damaged, or another one. Get it again from where you trust it"
        )
