"""The files of models: getting them ahead of time, and what they take on the disk.

::

    from etseg import DEEPLAB_V3_RESNET50, resources

    resources.fetch(DEEPLAB_V3_RESNET50, on_progress=print)
    resources.list_downloaded_models()
    resources.delete_resources(DEEPLAB_V3_RESNET50)

Downloads are kept in :func:`cache_directory`, each under its URL. Who gives a SHA-256 in
the spec has it checked. The catalogue's are not known beforehand: the first download is trusted,
its SHA-256 is recorded beside the file and logged, and a copy that differs from it later is not
used. ``ETSEG_OFFLINE=1`` forbids the network: what is not in the cache is a :class:`DownloadError`.

Weights that ``packed_weights="file"`` has packed are kept there too, 2 GiB of them at most, or as
many bytes as ``ETSEG_PACKED_WEIGHTS_LIMIT`` says: those used least recently go.

The cache directory may hold other things: only what etseg made is listed, counted or deleted.
Files that took a secret to get (a login or query in the URL, ``HF_TOKEN``) are readable by their
owner alone; of such a URL nothing is kept but its hash and what is public in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ._download import cache, http
from ._download.directory import cache_directory
from ._download.disk import writing
from ._errors import DownloadError
from ._limits import Limits
from ._messages import shown
from ._model.choosing import Model, as_spec
from ._model.files import local_path, locate, url_of
from ._model.spec import ModelSpec
from ._weights import entries

__all__ = [
    "DownloadedModel",
    "PackedWeights",
    "cache_directory",
    "delete_packed_weights",
    "delete_resources",
    "fetch",
    "get_files_total_size",
    "list_downloaded_models",
    "list_packed_weights",
]

_DEFAULTS = Limits()


@dataclass(frozen=True)
class DownloadedModel:
    """A model in the cache.

    Attributes:
        url: where it came from; without login, and "?..." in place of a query.
        path: where it is.
        size: in bytes.
        sha256: in hexadecimal.
    """

    url: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class PackedWeights:
    """Weights that ``packed_weights="file"`` has written.

    Attributes:
        path: where they are; named after the program's file.
        size: in bytes.
        last_used: when a model was loaded with them, in seconds since 1970.
    """

    path: Path
    size: int
    last_used: float


def fetch(
    model: Model,
    on_progress: Callable[[float], object] | None = None,
    *,
    limits: Limits = _DEFAULTS,
) -> Path:
    """Makes sure that a model's file is on this machine, and says where.

    An interrupted download goes on where it stopped, where the server can do that. Many threads and
    processes may ask for one file: one of them downloads it.

    Args:
        model: whatever :meth:`ImageSegmentationModule.load` takes.
        on_progress: called with 0.0 to 1.0, never less than before; with 1.0 alone when there is
            nothing to download. What it raises cancels the download and reaches the caller.
        limits: time-outs and number of redirects. A model may be as large as it is.

    Raises:
        InvalidModelSourceError: `model` is no source of a model.
        FileReadError: a local file is not there or cannot be read.
        DownloadError: the file cannot be had, or ETSEG_OFFLINE is set.
        InvalidModelError: it is no program, or not the one whose SHA-256 is expected.
        FileWriteError: the cache directory cannot be written to.
    """
    return locate(as_spec(model), on_progress, limits)


def list_downloaded_models() -> list[DownloadedModel]:
    """The models in the cache, by name. Interrupted downloads are none."""
    found = []
    for entry in cache.entries():
        record = entry.record()
        if record is not None and entry.size() is not None:
            found.append(DownloadedModel(record.url, entry.model, record.size, record.sha256))
    return found


def delete_resources(*models: Model | DownloadedModel) -> int:
    """Removes models from the cache, and what interrupted downloads of them left. Bytes freed.

    Takes what :func:`list_downloaded_models` gives, too. Local files and bundled models are not
    touched; what is not in the cache is no error. A module that has the file loaded goes on
    working.

    Raises:
        InvalidModelSourceError: one of `models` is no source of a model.
        DownloadError: one is being downloaded (RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS).
        FileWriteError: a file cannot be removed.
    """
    found = [_entry_of(model) for model in models]
    return sum(entry.delete() for entry in found if entry is not None)


def list_packed_weights() -> list[PackedWeights]:
    """The packed weights in the cache, by name."""
    return [
        PackedWeights(entry.packed, size, entry.last_used())
        for entry in entries.entries()
        if (size := entry.size()) is not None
    ]


def delete_packed_weights() -> int:
    """Removes all packed weights from the cache. Bytes freed.

    The next load packs anew. Models that have them mapped go on working, and keep the space on the
    disk until they are deleted.

    Raises:
        FileWriteError: a file cannot be removed.
    """
    freed = 0
    for entry in entries.entries():
        with writing(entry.packed):
            freed += entry.delete()
    return freed


def get_files_total_size(*models: Model) -> int:
    """What the files of models take together, in bytes. Servers are asked for what is not here.

    Raises:
        InvalidModelSourceError: one of `models` is no source of a model.
        FileReadError: a local file is not there.
        DownloadError: the server does not answer, or does not say.
    """
    return sum(_size_of(as_spec(model)) for model in models)


def _entry_of(model: Model | DownloadedModel) -> cache.Entry | None:
    if isinstance(model, DownloadedModel):
        return cache.Entry(model.path.parent)
    url = url_of(as_spec(model).model_source)
    return None if url is None else cache.Entry.of(url)


def _size_of(spec: ModelSpec) -> int:
    url = url_of(spec.model_source)
    if url is None:
        return local_path(spec.model_source).stat().st_size
    here = cache.Entry.of(url).size()
    if here is not None:
        return here
    size = http.announced_length(url)
    if size is None:
        raise DownloadError(f"{shown(url)}: the server does not say how large it is")
    return size
