"""What stands beside a downloaded model: its size and SHA-256, and when the file was looked at.

A record has a checksum of its own: one that was damaged is none. It knows its URL only as people
may see it; the folder that it stands in is named by the hash of the whole.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, dataclass

from .sealed import seal, unseal

#: A file may be written to twice in one tick of its file system's clock, two seconds at most. What
#: was looked at so soon after it was written is looked at again.
_RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class Record:
    """What is known about a downloaded model."""

    url: str  # for people
    size: int
    sha256: str
    mtime_ns: int = 0  # of the file when its SHA-256 was last computed
    ctime_ns: int = 0
    checked_ns: int = 0  # when that was

    def vouches_for(self, stat: os.stat_result) -> bool:
        """Whether the file was left alone since its SHA-256 was computed."""
        if (self.size, self.mtime_ns, self.ctime_ns) != _stamp(stat):
            return False
        return self.checked_ns - max(self.mtime_ns, self.ctime_ns) > _RACY_NS

    def checked(self, stat: os.stat_result) -> Record:
        """The same, of a file whose SHA-256 was found to be this after `stat` was taken."""
        size, mtime_ns, ctime_ns = _stamp(stat)
        return Record(self.url, size, self.sha256, mtime_ns, ctime_ns, time.time_ns())

    def to_bytes(self) -> bytes:
        """What :func:`parse_record` reads."""
        return seal(asdict(self))


def parse_record(content: bytes) -> Record | None:
    """A record, if that is what it is, and whole. Raises nothing, whatever it is given."""
    fields = unseal(content)
    if fields is None:
        return None
    try:
        record = Record(**fields)
    except TypeError:
        return None
    numbers = (record.size, record.mtime_ns, record.ctime_ns, record.checked_ns)
    if not all(type(number) is int for number in numbers) or record.size < 0:
        return None
    if not isinstance(record.url, str) or not isinstance(record.sha256, str):
        return None
    return record if re.fullmatch(r"[0-9a-f]{64}", record.sha256) else None


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
