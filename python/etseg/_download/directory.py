"""Where downloads are kept, and what in it is what it seems."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from etseg._errors import FileWriteError


def cache_directory() -> Path:
    """Where downloads are kept: ``$ETSEG_CACHE``, else the platform's place for caches.

    It need not exist yet.

    Raises:
        FileWriteError: there is no home directory to keep it in, and ETSEG_CACHE is not set.
    """
    chosen = os.environ.get("ETSEG_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        import platformdirs

        path = Path(platformdirs.user_cache_dir("etseg", appauthor=False))
        if path.is_absolute():
            return path
        why = "this user has no home directory"
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        why = str(error).rstrip(".")
    raise FileWriteError(f"there is no place for downloads: {why}. Set ETSEG_CACHE to a directory")


def is_folder(path: Path) -> bool:
    """Whether it is one, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def refuse_links(*paths: Path) -> None:
    """Raises a FileWriteError where one of the cache's own paths is a link."""
    for path in paths:
        if path.is_symlink():
            raise FileWriteError(
                f"{str(path)!r} is a link, and the cache follows none; set ETSEG_CACHE to the "
                "directory that is meant"
            )
