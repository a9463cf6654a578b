"""Writing packed weights: aside, compared, then put into their place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from . import checksum
from .checking import UnusableError, vouch
from .entries import Entry
from .identity import identity_of, wait_for_the_next_time

#: Who has the file mapped would die if somebody wrote to it: not even we may.
_READ_ONLY = 0o400


def write(entry: Entry, parts: Sequence[memoryview]) -> None:
    """Makes the file. The caller holds the lock.

    The record comes last, and without one nothing is mapped. The file has its name before, as that
    gives it another time.

    Raises:
        UnusableError: what was written is not what can be read.
        OSError: there is no room, or no permission.
    """
    for path in (entry.record, entry.new):  # the latter of a process that was killed
        with suppress(FileNotFoundError):
            path.unlink()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(entry.new, flags, _READ_ONLY)
    try:
        with ThreadPoolExecutor(1) as pool:
            expected = pool.submit(checksum.of_parts, parts)
            _write_all(descriptor, parts)
        entry.new.replace(entry.packed)
        identity = identity_of(os.fstat(descriptor))
        wait_for_the_next_time(identity)
        if checksum.of_file(descriptor, identity[2]) != expected.result():
            raise UnusableError("what was written is not what is read")
        if identity_of(os.fstat(descriptor)) != identity:
            raise UnusableError("it was changed while it was read")
        vouch(entry, identity, expected.result())
    except BaseException:
        for path in (entry.new, entry.packed):
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, parts: Sequence[memoryview]) -> None:
    # Not through a mapping: on a full disk that would end the process.
    for part in parts:
        rest = part
        while len(rest) > 0:
            rest = rest[os.write(descriptor, rest) :]
