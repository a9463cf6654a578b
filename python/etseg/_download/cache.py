"""The models that were downloaded: one folder for each URL.

::

    <cache directory>/models/<name>-<hash of the URL>/<name>.pte     the model, always whole
                                                      record.json    its URL, size and SHA-256
                                                      partial        a download that was interrupted
                                                      partial.json   what it can be resumed by
    <cache directory>/models/<name>-<hash of the URL>.lock           held while one downloads

Where no SHA-256 is known beforehand, the first download is trusted and its SHA-256 recorded: a file
that changes in the cache is noticed and replaced by the one recorded, or by none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from etseg._errors import DownloadError, ErrorCode, FileReadError, InvalidModelError
from etseg._limits import Limits

from .fetch import (
    Downloaded,
    Partial,
    Progress,
    cannot_write,
    download,
    replace_text,
    sha256_of,
    writing,
)
from .http import is_offline, shown, without_user

_log = logging.getLogger("etseg")


def cache_directory() -> Path:
    """Where downloads are kept: ``$ETSEG_CACHE``, else the platform's place for caches.

    It need not exist yet.
    """
    chosen = os.environ.get("ETSEG_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("etseg", appauthor=False))


@dataclass(frozen=True)
class Record:
    """What stands beside a downloaded model."""

    url: str
    size: int
    sha256: str
    mtime_ns: int  # with the size: whether the file is still the one that was checked

    def describes(self, stat: os.stat_result) -> bool:
        """Whether the file was left alone since."""
        return (self.size, self.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True)
class Entry:
    """The place of one URL in the cache, whether it is filled or not."""

    folder: Path

    @classmethod
    def of(cls, url: str) -> Entry:
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

    def record(self) -> Record | None:
        """What is known about the model; None where nothing is, or nothing that makes sense."""
        try:
            return Record(**json.loads(self._record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def cached(self, url: str, sha256: str | None) -> Path | None:
        """The model, if it is there and the one expected. Needs no lock and writes no model.

        Raises:
            FileReadError: it is there and cannot be read.
        """
        try:
            stat = self.model.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        record = self.record()
        if sha256 is None and record is not None and record.describes(stat):
            return self.model
        try:
            actual = sha256_of(self.model)
        except OSError as error:
            raise self._unreadable(error) from error
        expected = sha256 or (record.sha256 if record else actual)
        if actual != expected:
            _log.warning(
                "%r has SHA-256 %s where %s is expected: it is not used",
                str(self.model),
                actual,
                expected,
            )
            return None
        if record is None or not record.describes(stat):
            with suppress(OSError):  # a read-only cache is of use too
                self._write_record(url, actual, stat)
        return self.model

    def fetch(self, url: str, sha256: str | None, progress: Progress, limits: Limits) -> Path:
        """The model, downloaded if need be. Many processes may ask: one downloads.

        Raises:
            DownloadError: it cannot be had.
            InvalidModelError: what came is no program, or not the one with that SHA-256.
            FileReadError, FileWriteError: the cache directory cannot be used.
        """
        path = self.cached(url, sha256)
        if path is not None:
            return path
        if is_offline():
            raise DownloadError(
                f"{shown(url)} is not in {str(cache_directory())!r}, and ETSEG_OFFLINE is set; "
                "unset it, or fetch the model while there is a network: etseg fetch"
            )
        with self.locked(progress):
            path = self.cached(url, sha256)  # another process may have been faster
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

        The lock's file stays: without it, those who wait and those who come would hold two locks.

        Raises:
            DownloadError: it is being downloaded (RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS).
            FileWriteError: it cannot be removed.
        """
        if not self.folder.is_dir():
            return 0
        freed = 0
        with self.locked(None), writing(self.folder):
            for path in sorted(self.folder.iterdir()):
                freed += path.stat().st_size
                path.unlink()
            self.folder.rmdir()
        return freed

    @contextmanager
    def locked(self, progress: Progress | None) -> Iterator[None]:
        """Waits for other processes and threads; without `progress`, does not wait.

        Raises:
            DownloadError: somebody has the lock, and `progress` is None.
            FileWriteError: there can be no lock: the directory is not there, read-only, ...
        """
        import filelock

        lock = filelock.FileLock(self.folder.with_name(self.folder.name + ".lock"))
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        said = False
        while True:
            try:
                lock.acquire(timeout=0 if progress is None else 0.25)
                break
            except filelock.Timeout:
                if progress is None:
                    raise DownloadError(
                        f"{str(self.folder)!r} is being downloaded to; try again when it is done",
                        ErrorCode.RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS,
                    ) from None
                if not said:
                    _log.info("%r: waiting for another download of it", str(self.folder))
                said = True
                progress.report()
            except OSError as error:
                raise cannot_write(Path(lock.lock_file), error) from error
        try:
            yield
        finally:
            lock.release()

    def _download(
        self, url: str, sha256: str | None, progress: Progress, limits: Limits
    ) -> Downloaded:
        came = download(url, self.partial, progress, limits)
        if came.resumed and sha256 not in (None, came.sha256):
            _log.warning("%s: resumed, and the SHA-256 is wrong: it starts over", shown(url))
            self.partial.drop()
            came = download(url, self.partial, progress, limits)
        try:
            _check_program(self.partial.path, came.size, url)
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
        partial = self.partial.path
        with writing(self.model):
            self._write_record(url, came.sha256, partial.stat())
            partial.replace(self.model)
        self.partial.drop()

    def _write_record(self, url: str, sha256: str, stat: os.stat_result) -> None:
        record = Record(without_user(url), stat.st_size, sha256, stat.st_mtime_ns)
        replace_text(self._record, json.dumps(asdict(record), indent=1))

    def _unreadable(self, error: OSError) -> FileReadError:
        return FileReadError(f"cannot read {str(self.model)!r}: {error.strerror or error}")


def entries() -> list[Entry]:
    """All there are, by name; also those of which there is only a part."""
    try:
        folders = sorted((cache_directory() / "models").iterdir())
    except OSError:
        return []
    return [Entry(folder) for folder in folders if folder.is_dir()]


def _check_program(path: Path, size: int, url: str) -> None:
    """Whether a file is an ExecuTorch program and has the length it says it has.

    A proxy's login page is none; and a server may announce fewer bytes than there are.
    """
    try:
        with path.open("rb") as file:
            head = file.read(40)
    except OSError as error:
        raise FileReadError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    if not re.match(rb"....ET\d\d", head, re.DOTALL):
        raise InvalidModelError(
            f"{shown(url)} is no ExecuTorch program: it starts with {head[:16]!r}. Check the URL"
        )
    if head[8:12] != b"eh00" or int.from_bytes(head[12:16], "little") < 32:
        return  # written before programs said their length
    program, segments, segment_bytes = (
        int.from_bytes(head[start : start + 8], "little") for start in (16, 24, 32)
    )
    if size < max(program, segments + segment_bytes):
        raise InvalidModelError(
            f"{shown(url)} came with {size} bytes, but the program in it has "
            f"{max(program, segments + segment_bytes)}: the server sends it cut off"
        )
