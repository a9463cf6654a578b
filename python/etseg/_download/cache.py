"""The models that were downloaded: one folder for each URL.

::

    <cache directory>/models/<name>-<hash of the URL>/.etseg         the mark: this folder is ours
                                                      <name>.pte     the model, always whole
                                                      record.json    its size and SHA-256
                                                      partial        a download that was interrupted
                                                      partial.note   what it can be gone on from
                                                      *.new          what killed processes left
    <cache directory>/models/<name>-<hash of the URL>.lock           held while one downloads

Only these files, in folders with the mark, are ever listed, counted or removed, and no link is
followed below the cache directory: it may be a directory that other things are kept in.

Where no SHA-256 is known beforehand, the first download is trusted and its SHA-256 recorded: a file
that changes in the cache is noticed and replaced by the one recorded, or by none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from etseg._errors import (
    DownloadError,
    FileReadError,
    InvalidModelError,
)
from etseg._limits import Limits
from etseg._logs import logger
from etseg._messages import redacted, shown

from .directory import cache_directory, is_folder, refuse_links
from .disk import (
    COMMON,
    PRIVATE,
    file_stat,
    left_beside,
    read_small,
    replace_bytes,
    sha256_of,
    writing,
)
from .fetch import Downloaded, download
from .locking import locked
from .logins import may_be_private, without_user
from .offline import offline_by
from .partial import Partial
from .program_check import check_program
from .progress import Progress
from .records import Record, parse_record

_log = logger()


_MARK = b"A model that etseg downloaded. `etseg cache clear` removes it.\n"


@dataclass(frozen=True)
class Entry:
    """The place of one URL in the cache, whether it is filled or not."""

    folder: Path

    @classmethod
    def of(cls, url: str) -> Entry:
        """Logins do not count: they decide who may have a file, and not which one it is."""
        url = without_user(urldefrag(url).url)
        name = unquote(urlsplit(url).path).rpartition("/")[2].removesuffix(".pte")
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60].strip("_") or "model"
        key = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return cls(cache_directory() / "models" / f"{name}-{key}")

    @cached_property
    def model(self) -> Path:
        """The program, if it is there."""
        return self.folder / (self.folder.name.rpartition("-")[0] + ".pte")

    @property
    def partial(self) -> Partial:
        """What there is of an interrupted download."""
        return Partial(self.folder / "partial")

    @property
    def _record(self) -> Path:
        return self.folder / "record.json"

    @property
    def _mark(self) -> Path:
        return self.folder / ".etseg"

    def is_ours(self) -> bool:
        """Whether etseg made the folder."""
        return is_folder(self.folder) and read_small(self._mark) == _MARK

    def record(self) -> Record | None:
        """What is known about the model; None where nothing is, or nothing that makes sense."""
        content = read_small(self._record)
        return parse_record(content) if content is not None else None

    def size(self) -> int | None:
        """Of the model, in bytes; None without one."""
        try:
            found = file_stat(self.model)
        except OSError:
            return None
        return found.st_size if found else None

    def cached(self, sha256: str | None) -> Path | None:
        """The model, if it is there and the one expected. Needs no lock and writes no model.

        Raises:
            FileReadError: it is there and cannot be read.
        """
        try:
            found = file_stat(self.model)
            if found is None:
                return None
            record = self.record()
            if record is None and sha256 is None:
                _log.warning("%r is not used: what was known about it is lost", str(self.model))
                return None
            if record is not None and sha256 is None and record.vouches_for(found):
                return self.model
            actual = sha256_of(self.model)
        except OSError as error:
            raise FileReadError(
                f"cannot read {str(self.model)!r}: {error.strerror or error}"
            ) from error
        expected = sha256 or (record.sha256 if record else "")
        if actual != expected:
            _log.warning(
                "%r has SHA-256 %s where %s is expected: it is not used",
                str(self.model),
                actual,
                expected,
            )
            return None
        if record is not None and record.sha256 == actual and not record.vouches_for(found):
            with suppress(OSError):  # a read-only cache is of use too
                self._write_record(record.checked(found), found.st_mode & 0o777)
        return self.model

    def fetch(self, url: str, sha256: str | None, progress: Progress, limits: Limits) -> Path:
        """The model, downloaded if need be. Many processes may ask: one downloads.

        Raises:
            DownloadError: it cannot be had.
            InvalidModelError: what came is no program, or not the one with that SHA-256.
            FileReadError, FileWriteError: the cache directory cannot be used.
        """
        path = self.cached(sha256)
        if path is not None:
            return path
        forbidden = offline_by(url)
        if forbidden is not None:
            raise DownloadError(
                f"{shown(url)} is not in {str(cache_directory())!r}, and {forbidden} is set; "
                "unset it, or fetch the model while there is a network: etseg fetch"
            )
        with self._locked(progress):
            path = self.cached(sha256)  # another process may have been faster
            if path is not None:
                return path
            record = self.record()
            known = sha256 or (record.sha256 if record else None)
            came = self._download(url, known, progress, limits)
            self._commit(url, came)
        if known is None:
            _log.info(
                "%s: %d bytes; its SHA-256 was not known, and is trusted from now on: %s",
                shown(url),
                came.size,
                came.sha256,
            )
        return self.model

    def delete(self) -> int:
        """Removes the model, what is known about it, and what was interrupted. Bytes freed.

        What else somebody put into the folder stays, and the folder with it. So does the lock's
        file: without it, those who wait and those who come would hold two locks.

        Raises:
            DownloadError: it is being downloaded (RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS).
            FileWriteError: it cannot be removed.
        """
        if not self.is_ours():
            return 0
        with locked(self.folder, None), writing(self.folder):
            freed = sum(_remove(path) for path in self._files())
            with suppress(OSError):  # there is something of somebody else's in it
                self.folder.rmdir()
        return freed

    def _files(self) -> Iterator[Path]:
        """Every file that an entry may have; the mark is the last."""
        yield from (*left_beside(self._record), *left_beside(self._mark))
        yield from (*self.partial.files, self._record, self.model, self._mark)

    @contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        """Makes the folder, and waits for other processes and threads. Raises what locked() does,
        and FileWriteError where there can be no folder.
        """
        with writing(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        refuse_links(self.folder.parent, self.folder)
        with locked(self.folder, progress):
            with writing(self.folder):
                self.folder.mkdir(exist_ok=True)
                if read_small(self._mark) != _MARK:
                    replace_bytes(self._mark, _MARK, COMMON)
            yield

    def _download(
        self, url: str, sha256: str | None, progress: Progress, limits: Limits
    ) -> Downloaded:
        mode = _mode_of(url)
        came = download(url, self.partial, progress, limits, mode)
        if came.resumed and sha256 not in (None, came.sha256):
            _log.warning("%s: resumed, and the SHA-256 is wrong: it starts over", shown(url))
            self.partial.drop()
            came = download(url, self.partial, progress, limits, mode)
        try:
            check_program(self.partial.path, came.size, url)
            if sha256 not in (None, came.sha256):
                raise InvalidModelError(
                    f"{shown(url)} has SHA-256 {came.sha256}, but {sha256} is expected: it is "
                    "damaged, or was replaced. If you trust the new one, correct the sha256 of its "
                    "spec, or forget the old one: etseg cache clear"
                )
        except InvalidModelError:
            self.partial.drop()
            raise
        return came

    def _commit(self, url: str, came: Downloaded) -> None:
        """Makes the partial file the model. The last step is the one that counts."""
        with writing(self.model):
            self._write_record(Record(redacted(url), came.size, came.sha256), _mode_of(url))
            self.partial.path.replace(self.model)
        self.partial.drop()

    def _write_record(self, record: Record, mode: int) -> None:
        replace_bytes(self._record, record.to_bytes(), mode)


def entries() -> list[Entry]:
    """All that etseg made, by name; also those of which there is only a part."""
    models = cache_directory() / "models"
    if not is_folder(models):
        return []
    try:
        folders = sorted(models.iterdir())
    except OSError:
        return []
    return [entry for entry in map(Entry, folders) if entry.is_ours()]


def _mode_of(url: str) -> int:
    """The permissions of what came from a URL."""
    return PRIVATE if may_be_private(url) else COMMON


def _remove(path: Path) -> int:
    """Removes a file, if it is one. Bytes freed. Raises OSError."""
    found = file_stat(path)
    if found is None:
        return 0
    path.unlink(missing_ok=True)
    return found.st_size
