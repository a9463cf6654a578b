"""How many CPUs this process may use: what the machine has is not what a container grants."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ._errors import InvalidConfigError

#: In place of everything below.
VARIABLE = "ETSEG_NUM_THREADS"
MOST_THREADS = 1024


class Cpus(NamedTuple):
    """What was found, and the number of threads that follows.

    Attributes:
        threads: that are worth starting, 1 or more.
        reason: why no more.
        machine: logical CPUs of the machine.
        allowed: those that this process may run on (its affinity, a container's cpuset).
        cores: physical cores among the allowed, the small ones of a machine with two kinds left
            out. Two hyper-threads of one core share the units that a network keeps busy.
        quota: how many CPUs' time the cgroup may use; None where it has no limit.
    """

    threads: int
    reason: str
    machine: int
    allowed: int
    cores: int
    quota: float | None


def count_cpus(
    root: Path = Path("/"),
    allowed: Collection[int] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Cpus:
    """Looks at the calling thread's affinity, and at /sys and /proc below `root`.

    Raises:
        InvalidConfigError: the environment variable ETSEG_NUM_THREADS is no number of threads.
    """
    machine = os.cpu_count() or 1
    if allowed is None:
        allowed = _affinity(machine)
    fast = _fast(root, allowed)
    cores = len(set(_cores(root, fast)))
    quota = min(_quotas(root), default=None)
    threads, reason = cores, "a thread for each core"
    if len(fast) < len(allowed):
        reason = "a thread for each of the fast cores"
    elif cores < len(allowed):
        reason = "a thread for each core, whose hyper-threads share it"
    if len(allowed) < machine:
        reason += f", of the {len(allowed)} CPUs that this process may run on"
    if quota is not None and math.ceil(quota) < threads:
        threads, reason = max(1, math.ceil(quota)), f"the cgroup may use {quota:g} CPUs"
    if VARIABLE in environ:
        threads, reason = _asked_for(environ[VARIABLE]), VARIABLE
    return Cpus(threads, reason, machine, len(allowed), cores, quota)


def _affinity(machine: int) -> Collection[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # macOS has none
        return range(machine)


def _asked_for(text: str) -> int:
    try:
        threads = int(text)
    except ValueError:
        threads = 0
    if not 1 <= threads <= MOST_THREADS:
        raise InvalidConfigError(
            f"the environment variable {VARIABLE} is {text!r}; "
            f"expected a number of threads, 1 to {MOST_THREADS}"
        )
    return threads


def _fast(root: Path, allowed: Collection[int]) -> list[int]:
    """Without the small cores of a machine that has two kinds: the large would wait for them."""
    folder = root / "sys/devices/system/cpu"
    capacities = {cpu: _number(_read(folder / f"cpu{cpu}/cpu_capacity")) for cpu in allowed}
    most = max(capacities.values(), default=0)
    return [cpu for cpu, capacity in capacities.items() if capacity >= 2 / 3 * most]


def _cores(root: Path, allowed: Collection[int]) -> Iterator[str]:
    """For each CPU something that is the same for all hyper-threads of its core."""
    for cpu in allowed:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        siblings = _read(topology / "core_cpus_list") or _read(topology / "thread_siblings_list")
        yield siblings or str(cpu)


def _quotas(root: Path) -> Iterator[float]:
    """The limits that hold, each in CPUs: of this process's cgroup and of those above it."""
    mounts = dict(_mounts(root))
    for line in _read(root / "proc/self/cgroup").splitlines():
        # 0::/of/v2 or 4:cpu,cpuacct:/of/v1
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        kind = "cgroup2" if number == "0" else "cgroup"
        if kind not in mounts or (kind == "cgroup" and "cpu" not in controllers.split(",")):
            continue
        mounted, at = mounts[kind]
        for folder in _upwards(root / at.lstrip("/"), mounted, group):
            quota, period = _v2(folder) if kind == "cgroup2" else _v1(folder)
            if quota > 0 and period > 0:
                yield quota / period


def _mounts(root: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """By type of file system, for those with limits of CPU time: what is mounted, and where."""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        # 36 35 98:0 /what /where options ... - type source options
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and "cpu" in kind[2].split(",")):
            yield kind[0], (fields[3], fields[4])


def _upwards(top: Path, mounted: str, group: str) -> Iterator[Path]:
    """The folder of a group and those above it, up to where the file system is mounted."""
    path = PurePosixPath(group)
    # Elsewhere the group's own folder cannot be seen, but what is mounted is still above it.
    inside = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    for folder in (inside, *inside.parents):
        yield top / folder


def _v2(folder: Path) -> tuple[int, int]:
    words = _read(folder / "cpu.max").split()  # "50000 100000" or "max 100000"
    return (_number(words[0]), _number(words[1])) if len(words) == 2 else (0, 0)


def _v1(folder: Path) -> tuple[int, int]:
    return (
        _number(_read(folder / "cpu.cfs_quota_us")),  # -1 where there is no limit
        _number(_read(folder / "cpu.cfs_period_us")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _read(path: Path) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
