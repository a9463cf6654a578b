"""Packed weights that may be mapped: in every respect those that were written."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from .entries import Entry
from .identity import Identity, boot, identity_of, is_coarse, wait_for_the_next_time
from .places import NothingToShareError
from .records import is_ours, open_to_read, read_record, write_record


class UnusableError(Exception):
    """There is a file that must not be mapped; the message says why."""


def open_checked(entry: Entry) -> int | None:
    """The descriptor of weights that are as they were written; None where there are none.

    What has no record was not made to its end, by a process that writes it or that was killed.

    Raises:
        UnusableError: they are not.
        NothingToShareError: it is known that the program has none to share.
        OSError: the file cannot be read.
    """
    record = read_record(entry.record)
    if record is None:
        return None  # never made, or not to its end
    if record.get("key") == entry.key and record.get("size") == 0:
        raise NothingToShareError(str(record.get("why")))
    try:
        descriptor = open_to_read(entry.packed)
    except FileNotFoundError:
        return None
    try:
        _check(entry, descriptor, record)
    except BaseException:
        os.close(descriptor)
        raise
    entry.used()
    return descriptor


def _check(entry: Entry, descriptor: int, record: dict[str, Any]) -> None:
    found = os.fstat(descriptor)
    if not is_ours(found):
        raise UnusableError("it belongs to another user, or others may write it")
    if record.get("key") != entry.key or record.get("size") != found.st_size:
        raise UnusableError("it is of another size, or another key")
    identity = identity_of(found)
    if record.get("identity") == list(identity) and record.get("boot") == boot():
        return
    from . import checksum

    wait_for_the_next_time(identity)
    if checksum.of_file(descriptor, found.st_size) != record.get("sha256"):
        raise UnusableError("its checksum is wrong")
    if identity_of(os.fstat(descriptor)) != identity:
        raise UnusableError("it was changed while it was read")
    with suppress(OSError):  # then it is compared again
        vouch(entry, identity, record["sha256"])


def vouch(entry: Entry, identity: Identity, sha256: str) -> None:
    """Writes what is known about weights whose checksum was compared. Raises OSError."""
    known = [] if is_coarse(identity, time.time_ns()) else list(identity)
    fields = {"key": entry.key, "size": identity[2], "sha256": sha256}
    write_record(entry.record, {**fields, "identity": known, "boot": boot()})


def note_nothing(entry: Entry, why: str) -> None:
    """Remembers that a program has nothing to share. Raises OSError."""
    write_record(entry.record, {"key": entry.key, "size": 0, "why": why})
