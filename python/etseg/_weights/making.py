"""Writing packed weights: aside, compared, then put into their place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import numpy as np

from . import checksum
from .checking import UnusableError, vouch
from .entries import Entry
from .identity import identity_of, wait_for_the_next_time

#: Who has the file mapped would die if somebody wrote to it: not even we may.
_READ_ONLY = 0o400


def write(entry: Entry, parts: Iterator[memoryview]) -> bool:
    """Makes the file; False if there are no parts. The caller holds the lock.

    The record comes last, and without one nothing is mapped. The file has its name before, as that
    gives it another time.

    Raises:
        UnusableError: what was written is not what can be read.
        OSError: there is no room, or no permission.
        Whatever the parts raise: then they are not whole.
    """
    first = next(parts, None)
    if first is None:
        return False
    for path in (entry.record, entry.new):  # the latter of a process that was killed
        with suppress(FileNotFoundError):
            path.unlink()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(entry.new, flags, _READ_ONLY)
    try:
        sha256 = _write_and_read(descriptor, chain((first,), parts))
        entry.new.replace(entry.packed)
        identity = identity_of(os.fstat(descriptor))
        wait_for_the_next_time(identity)
        vouch(entry, identity, sha256)
    except BaseException:
        for path in (entry.new, entry.packed):
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        os.close(descriptor)
    return True


def _write_and_read(descriptor: int, parts: Iterable[memoryview]) -> str:
    """The checksum. What is written is read back meanwhile, and compared."""
    with ThreadPoolExecutor(2) as pool:
        checks, start = [], 0
        for block in _blocks(parts):
            # Not through a mapping: on a full disk that would end the process.
            for piece in block:
                _write(descriptor, piece)
            checks.append(pool.submit(_check, descriptor, start, block))
            start += checksum.BLOCK
        return checksum.of_blocks(check.result() for check in checks)


def _write(descriptor: int, piece: memoryview) -> None:
    while len(piece) > 0:
        piece = piece[os.write(descriptor, piece) :]


def _check(descriptor: int, start: int, block: list[memoryview]) -> bytes:
    read = checksum.read(descriptor, start, sum(map(len, block)))
    return checksum.of_block(_compared(read, block))


def _compared(read: Iterable[memoryview], block: list[memoryview]) -> Iterator[memoryview]:
    """What was read, as long as it is what is in the block, to its end."""
    rest = list(reversed(block))
    for piece in read:
        at = 0
        while at < len(piece):
            expected = rest.pop() if rest else piece[:0]
            count = min(len(expected), len(piece) - at)
            if not count or not _equal(piece[at : at + count], expected[:count]):
                raise _not_what_was_written()
            if count < len(expected):
                rest.append(expected[count:])
            at += count
        yield piece
    if rest:
        raise _not_what_was_written()


def _equal(one: memoryview, other: memoryview) -> bool:
    kind = np.uint64 if len(one) % 8 == 0 else np.uint8  # several times as fast as bytes
    return np.array_equal(np.frombuffer(one, kind), np.frombuffer(other, kind))


def _not_what_was_written() -> UnusableError:
    return UnusableError("what was written is not what is read")


def _blocks(parts: Iterable[memoryview]) -> Iterator[list[memoryview]]:
    """The same bytes in blocks of the checksum's size, the last one as long as it is."""
    block, room = [], checksum.BLOCK
    for part in parts:
        rest = part
        while len(rest) > 0:
            block.append(rest[:room])
            taken = len(block[-1])
            rest, room = rest[taken:], room - taken
            if room == 0:
                yield block
                block, room = [], checksum.BLOCK
    if block:
        yield block
