"""The SHA-256 of a program, computed once for as long as the file is left alone."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .identity import Identity, boot, identity_of, is_coarse, wait_for_the_next_time
from .records import read_record, write_record

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Program:
    """A file, and what was in it."""

    identity: Identity
    sha256: str


def remembered(path: Path, folder: Path) -> Program | None:
    """What was computed before, if the file is still the same. Raises OSError."""
    identity = identity_of(path.stat())
    fields = read_record(_record(folder, identity))
    if fields is None or fields.get("identity") != list(identity) or fields.get("boot") != boot():
        return None
    sha256 = fields.get("sha256")
    return Program(identity, sha256) if isinstance(sha256, str) else None


def compute(path: Path, folder: Path) -> Program | None:
    """Reads the file, and remembers what was computed. None if it was changed meanwhile.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        identity = identity_of(os.fstat(file.fileno()))
        wait_for_the_next_time(identity)
        digest = hashlib.sha256()
        block = memoryview(bytearray(_BLOCK))
        while count := file.readinto(block):
            digest.update(block[:count])
        if identity_of(os.fstat(file.fileno())) != identity:
            return None
    program = Program(identity, digest.hexdigest())
    if not is_coarse(identity, time.time_ns()):
        fields = {"identity": list(identity), "boot": boot(), "sha256": program.sha256}
        with suppress(OSError):  # then it is computed again
            write_record(_record(folder, identity), fields)
    return program


def _record(folder: Path, identity: Identity) -> Path:
    return folder / f"{identity[0]:x}-{identity[1]:x}.json"
