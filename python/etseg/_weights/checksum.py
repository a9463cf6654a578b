"""The checksum of packed weights: the SHA-256 of the SHA-256s of their blocks.

In blocks, so that several threads can compute it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

#: All blocks but the last have this size, in bytes.
BLOCK = 8 << 20
_MOST_THREADS = 4


def of_file(descriptor: int, size: int) -> str:
    """Of the first `size` bytes of a file, in hexadecimal. Raises OSError."""

    def of(start: int) -> bytes:
        return of_block(read(descriptor, start, min(BLOCK, size - start)))

    starts = range(0, size, BLOCK)
    threads = min(_MOST_THREADS, os.cpu_count() or 1, max(len(starts), 1))
    with ThreadPoolExecutor(threads) as pool:
        return of_blocks(pool.map(of, starts))


def of_block(data: bytes) -> bytes:
    """Of one block."""
    return hashlib.sha256(data).digest()


def read(descriptor: int, start: int, size: int) -> bytes:
    """These bytes of a file, or those that there are. Raises OSError."""
    data = os.pread(descriptor, size, start)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), start + len(data))):
        data += more
    return data


def of_blocks(blocks: Iterable[bytes]) -> str:
    """Of what has blocks with these checksums, in hexadecimal."""
    whole = hashlib.sha256()
    for block in blocks:
        whole.update(block)
    return whole.hexdigest()
