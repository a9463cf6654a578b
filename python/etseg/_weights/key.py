"""What packed weights depend on, beside the program."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from functools import cache
from pathlib import Path

from etseg import _native

#: Lines of /proc/cpuinfo that tell what a CPU is and can do: of x86, then of Arm.
_TELLING = re.compile(
    r"^(vendor_id|cpu family|model|model name|stepping|cache size|flags"
    r"|CPU implementer|CPU architecture|CPU variant|CPU part|CPU revision|Features)\s*:\s*(.*)$",
    re.MULTILINE,
)


#: Of the file (cpp/src/runtime/packed_weights.h).
_LAYOUT = "2"


def key_of(program_sha256: str, instances: int) -> str:
    """In hexadecimal: of a program, the runtime, this machine's CPUs, and how instances run."""
    parts = [_LAYOUT, program_sha256, *_runtime(), *cpus(), "pool" if instances == 1 else "caller"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _runtime() -> tuple[str, ...]:
    info = _native.runtime_info()
    return (info["version"], info["build"], _native.__version__)


@cache
def cpus() -> tuple[str, ...]:
    """What XNNPACK chooses its kernels by; cores of two kinds count both."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = platform.processor()
    found = {f"{name}: {value}" for name, value in _TELLING.findall(text)}
    return (platform.machine(), *sorted(found))
