"""Whether a file is the one that was looked at: by device, inode, size and times."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

#: device, inode, size, and the times it was written and changed in nanoseconds.
Identity = tuple[int, int, int, int, int]

#: Who writes again within one tick of the system's clock for files leaves no trace. A tick is 10 ms
#: at most; where a file system counts whole seconds, two of them.
_TICKS, _TICK_SECONDS = 20, 0.001
_COARSE_NS = 2_000_000_000


def identity_of(found: os.stat_result) -> Identity:
    """Of a file."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def wait_for_the_next_time(identity: Identity) -> None:
    """Until when a change of the file would give it other times."""
    clock = getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME)
    for _ in range(_TICKS):
        if time.clock_gettime_ns(clock) > max(identity[3:]):
            return
        time.sleep(_TICK_SECONDS)


def is_coarse(identity: Identity, now_ns: int) -> bool:
    """Whether the times are of whole seconds, and so young that they prove nothing."""
    return identity[4] % 1_000_000_000 == 0 and now_ns - max(identity[3:]) < _COARSE_NS


@cache
def boot() -> str:
    """Names this run of the system: what a power failure left of a file has kept its times."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
