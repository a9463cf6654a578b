"""The checksum of packed weights: the SHA-256 of the SHA-256s of their blocks.

In blocks, so that several threads can compute it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

#: All blocks but the last have this size, in bytes.
BLOCK = 8 << 20
_PIECE = 1 << 18  # stays in the caches
_MOST_THREADS = 4


def of_file(descriptor: int, size: int) -> str:
    """Of the first `size` bytes of a file, in hexadecimal. Raises OSError."""

    def of(start: int) -> bytes:
        return of_block(read(descriptor, start, min(BLOCK, size - start)))

    starts = range(0, size, BLOCK)
    threads = min(_MOST_THREADS, os.cpu_count() or 1, max(len(starts), 1))
    with ThreadPoolExecutor(threads) as pool:
        return of_blocks(pool.map(of, starts))


def of_block(pieces: Iterable[memoryview]) -> bytes:
    """Of one block."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def read(descriptor: int, start: int, size: int) -> Iterator[memoryview]:
    """These bytes of a file, or those that there are, in pieces that are valid until the next.

    Raises:
        OSError: they cannot be read.
    """
    memory = memoryview(bytearray(min(_PIECE, size)))
    end = start + size
    while start < end and (count := os.preadv(descriptor, [memory[: end - start]], start)):
        yield memory[:count]
        start += count


def of_blocks(blocks: Iterable[bytes]) -> str:
    """Of what has blocks with these checksums, in hexadecimal."""
    whole = hashlib.sha256()
    for block in blocks:
        whole.update(block)
    return whole.hexdigest()
