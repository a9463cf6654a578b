"""One process, and one thread of it, downloads a file; the others wait, and can give up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from etseg._errors import DownloadError, ErrorCode
from etseg._logs import logger

from .directory import refuse_links
from .disk import cannot_write
from .progress import Progress

_log = logger()

#: How often who waits is asked whether to go on, in seconds.
_SLICE = 0.25

#: The folders that this call downloads to. What it calls back sees them too, also on the thread of
#: an event loop.
_under_way: ContextVar[frozenset[Path]] = ContextVar("_under_way", default=frozenset())


@contextmanager
def locked(folder: Path, progress: Progress | None) -> Iterator[None]:
    """Holds the lock of a folder, which need not exist; the folder that it is in must.

    Args:
        progress: told while somebody else has the lock; None: then there is no waiting.

    Raises:
        DownloadError: somebody has the lock, and `progress` is None; or it is the callback of this
            very download that wants it, and would wait for ever
            (RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS).
        FileWriteError: there can be no lock: the directory is read-only, ...
    """
    import filelock

    if folder in _under_way.get():
        raise _in_progress(folder, "by the call whose callback asks for it")
    path = folder.with_name(folder.name + ".lock")
    refuse_links(path)
    lock = filelock.FileLock(path)
    said = False
    while True:
        try:
            lock.acquire(timeout=0 if progress is None else _SLICE)
            break
        except filelock.Timeout:
            if progress is None:
                raise _in_progress(folder, "by another call") from None
            if not said:
                _log.info("%r: waiting for another download of it", str(folder))
            said = True
            progress.report()
        except OSError as error:
            raise cannot_write(path, error) from error
    token = _under_way.set(_under_way.get() | {folder})
    try:
        yield
    finally:
        _under_way.reset(token)
        lock.release()


def _in_progress(folder: Path, by: str) -> DownloadError:
    return DownloadError(
        f"{str(folder)!r} is being downloaded to {by}; try again when it is done",
        ErrorCode.RESOURCE_FETCHER_DOWNLOAD_IN_PROGRESS,
    )
