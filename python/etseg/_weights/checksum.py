"""The checksum of packed weights: the SHA-256 of the SHA-256s of their blocks.

In blocks, so that several threads can compute it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

_BLOCK = 8 << 20
_MOST_THREADS = 4


def of_file(descriptor: int, size: int) -> str:
    """Of the first `size` bytes of a file, in hexadecimal. Raises OSError."""

    def block(start: int) -> bytes:
        digest = hashlib.sha256()
        wanted = min(_BLOCK, size - start)
        while wanted > 0 and (data := os.pread(descriptor, min(wanted, 1 << 20), start)):
            digest.update(data)
            start += len(data)
            wanted -= len(data)
        return digest.digest()

    starts = range(0, size, _BLOCK)
    threads = min(_MOST_THREADS, os.cpu_count() or 1, max(len(starts), 1))
    with ThreadPoolExecutor(threads) as pool:
        return _together(pool.map(block, starts))


def of_parts(parts: Iterable[memoryview]) -> str:
    """Of what a file of these parts would have."""
    blocks: list[bytes] = []
    digest, room = hashlib.sha256(), _BLOCK
    for part in parts:
        rest = part
        while len(rest) > 0:
            digest.update(rest[:room])
            taken = min(room, len(rest))
            rest, room = rest[taken:], room - taken
            if room == 0:
                blocks.append(digest.digest())
                digest, room = hashlib.sha256(), _BLOCK
    if room < _BLOCK:
        blocks.append(digest.digest())
    return _together(blocks)


def _together(blocks: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for block in blocks:
        whole.update(block)
    return whole.hexdigest()
