"""From a URL to a file, in as many attempts as it takes.

The bytes go into a partial file, with a note beside it (see `partial`). A later attempt, in this
process or another, asks for the rest of the version that the note names: by its strong ETag, else
by its date of last change. It goes on only where the answer says that it is of that version; any
other answer, and bytes that are not what they were, make it start over. Without a validator there
is no going on.

The caller holds a lock: one process writes a partial file at a time.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from etseg._errors import ErrorCode, FileWriteError
from etseg._limits import Limits
from etseg._messages import shown

from . import http
from .errors import PassingError
from .headers import content_range, still_is, validator_of
from .logins import asked_as
from .partial import Partial, Start, Version
from .progress import Progress
from .retrying import retried
from .watch import Watch

#: An attempt that brought this many new bytes does not count against the limit of attempts.
_ADVANCE = 1 << 20


@dataclass(frozen=True)
class Downloaded:
    """What came."""

    sha256: str
    size: int
    resumed: bool  # whether bytes of an earlier attempt are in it


def download(
    url: str, partial: Partial, progress: Progress, limits: Limits, mode: int
) -> Downloaded:
    """Brings `url` into the partial file, which is complete and on the disk afterwards.

    What `progress` raises, and KeyboardInterrupt, pass through; the partial file stays for the next
    time.

    Args:
        mode: permissions of the file, less the umask.

    Raises:
        DownloadError: it cannot be had; DOWNLOAD_INTERRUPTED where it had begun to come.
        FileWriteError: no space, no permission, ... The partial file is gone then.
    """
    furthest = partial.size()
    asked = asked_as(url)

    def attempt() -> Downloaded:
        start = partial.start(asked)
        if start and start.done == start.version.total:
            # Killed between the last byte and the renaming.
            return Downloaded(start.digest.hexdigest(), start.done, resumed=True)
        headers = {}
        if start:
            headers = {"Range": f"bytes={start.done}-", "If-Range": start.version.validator}
        with http.request("GET", url, headers, limits) as answer:
            resumed = start is not None and _goes_on(answer, start)
            if not resumed:
                start = _from_the_beginning(answer, url, asked, partial, mode)
            assert start is not None
            total = start.version.total
            progress.report(start.done, total)
            with partial.appending(start) as file:
                for block in answer.blocks():
                    file.write(block)
                    progress.report(file.done, total)
        if total is not None and file.done != total:
            raise PassingError(
                f"{shown(url)} sent {file.done} bytes where it had announced {total}",
                ErrorCode.DOWNLOAD_INTERRUPTED,
            )
        return Downloaded(file.digest.hexdigest(), file.done, resumed)

    def has_advanced() -> bool:
        nonlocal furthest
        before, furthest = furthest, max(furthest, partial.size())
        return furthest - before >= _ADVANCE

    try:
        return retried(Watch(url, limits, None, progress.report), attempt, has_advanced)
    except FileWriteError:
        partial.drop()
        raise


def _goes_on(answer: http.Answer, start: Start) -> bool:
    """Whether the body is the rest of what we have, whatever the server thinks of If-Range."""
    if answer.status != 206 or answer.encoded:
        return False
    if not still_is(start.version.validator, answer.headers):
        return False
    came = content_range(answer.headers.get("Content-Range"))
    if came is None or came.first != start.done:
        return False
    return None in (start.version.total, came.total) or start.version.total == came.total


def _from_the_beginning(
    answer: http.Answer, url: str, asked: str, partial: Partial, mode: int
) -> Start:
    if answer.status in (206, 416):
        partial.drop()
        raise PassingError(
            f"{shown(url)} may have changed since the download began; it starts over",
            ErrorCode.DOWNLOAD_INTERRUPTED,
        )
    http.check_status(answer, url, 200)
    _check_space(partial.path.parent, answer.length, url)
    return partial.begin(Version.of(asked, validator_of(answer.headers), answer.length), mode)


def _check_space(folder: Path, size: int | None, url: str) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if size is not None and size > free:
        raise FileWriteError(
            f"{shown(url)} needs {size} bytes, but {str(folder)!r} has {free} left. Make "
            "room, or set ETSEG_CACHE to another directory"
        )
