"""From the source of a model to a file on this machine, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urldefrag

from etseg._errors import (
    FileMissingError,
    FileReadError,
    InvalidModelError,
    InvalidModelSourceError,
)
from etseg._limits import Limits
from etseg._messages import shown
from etseg._reading import check_regular
from etseg._uris import path_of_file_uri, scheme_of, split_url

from .spec import ModelSpec, Source

_BUNDLED = "bundled:"
_DEFAULTS = Limits()


def locate(
    spec: ModelSpec, on_progress: Callable[[float], object] | None, limits: Limits = _DEFAULTS
) -> Path:
    """The file of a model, downloaded if need be. Reports 1.0 to `on_progress` once it is there.

    Of `limits`, time-outs and redirects are heeded; a model may be as large as it is.

    Raises:
        InvalidModelSourceError: the source is of no known kind.
        FileMissingError: there is no such file.
        FileReadError: it is no regular file, or cannot be read.
        InvalidModelError: the file is not the one whose SHA-256 the spec has, or the URL's is no
            program.
        DownloadError: it is not in the cache, and cannot be had.
        FileWriteError: the cache directory cannot be written to.
    """
    from etseg._download.progress import Progress

    progress = Progress(on_progress)
    url = url_of(spec.model_source)
    if url is not None:
        # Imported here: who loads from a path needs neither a lock nor the network.
        from etseg._download.cache import Entry

        path = Entry.of(url).fetch(url, spec.sha256, progress, limits)
    else:
        path = local_path(spec.model_source)
        if spec.sha256 is not None:
            _check_sha256(path, spec.sha256)
    progress.finish()
    return path


def url_of(source: Source) -> str | None:
    """The http(s) URL that a source is or stands for, without its fragment; None where it is
    something else.

    Raises:
        InvalidModelSourceError: the URL is malformed.
    """
    text = os.fspath(source)
    scheme = scheme_of(text)
    if scheme == "hf":
        from etseg._download.hub import url_of_reference

        try:
            return url_of_reference(text)
        except ValueError as error:
            raise InvalidModelSourceError(
                f"the model source {shown(text)} names no file of the hub: {error}"
            ) from None
    if scheme not in ("http", "https"):
        return None
    parts = split_url(text)
    if parts is None:
        raise InvalidModelSourceError(f"the model source {shown(text)} is no URL")
    if not parts.hostname:
        raise InvalidModelSourceError(f"the model source {shown(text)} names no host")
    return urldefrag(text).url


def local_path(source: Source) -> Path:
    """The file that a source which is no URL names.

    Raises:
        InvalidModelSourceError: the source is of no known kind.
        FileMissingError: there is no such file.
        FileReadError: it is no regular file, or cannot be looked at.
    """
    path = _path_of(os.fspath(source))
    try:
        check_regular(path, "model")
    except FileMissingError as error:
        raise FileMissingError(f"{error}{_hint(os.fspath(source))}") from error.__cause__
    return path


def anchored(source: Source) -> Source:
    """A source that means the same in another working directory."""
    text = os.fspath(source)
    if text.startswith(_BUNDLED) or scheme_of(text) is not None:
        return source
    return Path(text).absolute()


def _path_of(source: str) -> Path:
    if source.startswith(_BUNDLED):
        return _bundled(source.removeprefix(_BUNDLED))
    scheme = scheme_of(source)
    if scheme == "file":
        return path_of_file_uri(source)
    if scheme is not None:
        raise InvalidModelSourceError(
            f"the model source {shown(source)} has the scheme {scheme!r}; expected a path, a "
            "file:// URI, an http(s) URL or hf://owner/repository/file"
        )
    if not source:
        raise InvalidModelSourceError("the model source is empty; expected a path, URI or URL")
    return Path(source)


def _hint(name: str) -> str:
    """What somebody may have meant who names no file."""
    from .choosing import known_models

    name = name.rpartition(os.sep)[2]  # it was made absolute
    if not re.fullmatch(r"[\w-]{1,100}", name):  # a file of a program has an ending
        return ""
    return f"; nor has the catalogue a model of that name; {known_models(name)}"


def _bundled(name: str) -> Path:
    folder = Path(__file__).parents[1] / "_bundled"
    # In one call, which a Ctrl-C leaves nothing of: an iterator would stay open.
    programs = sorted(file for file in os.listdir(folder) if file.endswith(".pte"))  # noqa: PTH208
    if name not in programs:
        raise InvalidModelSourceError(f"no program {name!r} is bundled; there are {programs}")
    return folder / name


def _check_sha256(path: Path, expected: str) -> None:
    from etseg._download.disk import sha256_of

    try:
        actual = sha256_of(path)
    except OSError as error:
        raise FileReadError(f"cannot read the model {str(path)!r}: {error.strerror}") from error
    if actual != expected:
        raise InvalidModelError(
            f"{str(path)!r} has SHA-256 {actual}, but the spec expects {expected}: the file is "
            "damaged, or another one. Get it again from where you trust it"
        )
