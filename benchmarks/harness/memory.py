"""Peak resident memory of this process, from Linux's own counters."""

from __future__ import annotations

from pathlib import Path


def resident() -> int:
    """Bytes resident now."""
    return _status("VmRSS")


def peak() -> int:
    """The most bytes that were resident since reset_peak()."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Starts the peak anew at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)
