"""Counting CPUs, on machines and in containers that are folders here."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

import etseg
from etseg import InvalidConfigError
from etseg._cpus import Cpus, count_cpus

V2 = "35 24 0:30 {root} {at} ro,nosuid - cgroup2 cgroup rw"
V1 = "36 24 0:31 {root} {at} rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_OTHER = "37 24 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


class Machine:
    """A tree as /proc and /sys have it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mounts: list[str] = []
        self._groups: list[str] = []

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="ascii")

    def cores(self, *siblings: str) -> None:
        """CPU number i is a hyper-thread of the core that has the i-th list."""
        for cpu, names in enumerate(siblings):
            self.write(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list", names)

    def mount(self, line: str, at: str = "/sys/fs/cgroup", root: str = "/") -> None:
        self._mounts.append(line.format(at=at, root=root))
        self.write("/proc/self/mountinfo", "\n".join(self._mounts))

    def group(self, line: str) -> None:
        self._groups.append(line)
        self.write("/proc/self/cgroup", "\n".join(self._groups))

    def count(self, allowed: int = 8, **environ: str) -> Cpus:
        return count_cpus(self.root, range(allowed), environ)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_thread_for_each_cpu_where_nothing_more_is_known(machine: Machine) -> None:
    found = machine.count(6)
    assert (found.threads, found.allowed, found.cores, found.quota) == (6, 6, 6, None)


def test_hyper_threads_share_a_core(machine: Machine) -> None:
    machine.cores("0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7")
    found = machine.count(8)
    assert (found.threads, found.allowed, found.cores) == (4, 8, 4)
    assert "hyper-threads" in found.reason or "8 CPUs" in found.reason
    assert machine.count(2).threads == 2  # CPUs 0 and 1: a core each
    both = count_cpus(machine.root, [0, 4], {})
    assert (both.threads, both.allowed) == (1, 2)


def test_older_kernels_call_the_list_otherwise(machine: Machine) -> None:
    for cpu in range(2):
        machine.write(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", "0-1")
    assert machine.count(2).threads == 1


def test_small_cores_are_left_out(machine: Machine) -> None:
    for cpu in range(8):
        machine.write(
            f"/sys/devices/system/cpu/cpu{cpu}/cpu_capacity", "530" if cpu < 4 else "1024"
        )
    found = machine.count(8)
    assert found.threads == 4
    assert "fast" in found.reason
    assert machine.count(4).threads == 4  # where there are no others


@pytest.mark.parametrize(
    ("limit", "quota", "threads"),
    [
        ("max 100000", None, 8),
        ("100000 100000", 1.0, 1),
        ("150000 100000", 1.5, 2),
        ("10000 100000", 0.1, 1),
        ("1200000 100000", 12.0, 8),
        ("50000 20000", 2.5, 3),
        ("", None, 8),
        ("a b", None, 8),
        ("100000 0", None, 8),
    ],
)
def test_a_quota_of_cgroup_2(
    machine: Machine, limit: str, quota: float | None, threads: int
) -> None:
    machine.mount(V2)
    machine.group("0::/")
    machine.write("/sys/fs/cgroup/cpu.max", limit)
    found = machine.count(8)
    assert (found.quota, found.threads) == (quota, threads)
    assert ("cgroup" in found.reason) == (threads < 8)


@pytest.mark.parametrize(
    ("limit", "period", "threads"),
    [("-1", "100000", 8), ("250000", "100000", 3), ("50000", "100000", 1), ("", "", 8)],
)
def test_a_quota_of_cgroup_1(machine: Machine, limit: str, period: str, threads: int) -> None:
    machine.mount(V1_OTHER)
    machine.mount(V1, "/sys/fs/cgroup/cpu,cpuacct")
    machine.group("7:memory:/")
    machine.group("4:cpu,cpuacct:/user")
    machine.write("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", limit)
    machine.write("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", period)
    assert machine.count(8).threads == threads


def test_the_tightest_limit_of_all_groups_above_holds(machine: Machine) -> None:
    machine.mount(V2)
    machine.group("0::/pod/container/step")
    machine.write("/sys/fs/cgroup/pod/cpu.max", "200000 100000")
    machine.write("/sys/fs/cgroup/pod/container/cpu.max", "max 100000")
    machine.write("/sys/fs/cgroup/pod/container/step/cpu.max", "700000 100000")
    machine.write("/sys/fs/cgroup/pod/another/cpu.max", "100000 100000")
    assert machine.count(8).quota == 2.0


def test_a_container_that_sees_its_own_group_as_the_mount(machine: Machine) -> None:
    """As with cgroup 1, where /proc tells the host's path and only its end is mounted."""
    machine.mount(V1, "/sys/fs/cgroup/cpu", root="/docker/1234")
    machine.group("4:cpu,cpuacct:/docker/1234/inner")
    machine.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000")
    machine.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert machine.count(8).quota == 3.0
    machine.write("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000")
    machine.write("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000")
    assert machine.count(8).quota == 2.0


@pytest.mark.parametrize("group", ["0::/../../elsewhere", "0::/docker/1234"])
def test_a_group_that_cannot_be_seen(machine: Machine, group: str) -> None:
    machine.mount(V2)
    machine.group(group)
    machine.write("/sys/fs/cgroup/cpu.max", "200000 100000")
    machine.write("/elsewhere/cpu.max", "100000 100000")
    assert machine.count(8).quota == 2.0


def test_limits_of_both_versions_count(machine: Machine) -> None:
    machine.mount(V1, "/sys/fs/cgroup/cpu")
    machine.mount(V2, "/sys/fs/cgroup/unified")
    machine.group("4:cpu,cpuacct:/")
    machine.group("0::/")
    machine.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000")
    machine.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    machine.write("/sys/fs/cgroup/unified/cpu.max", "500000 100000")
    assert machine.count(8).quota == 3.0


@pytest.mark.parametrize("line", ["", "0", "0::", "nonsense", "x:y", "0:cpu"])
def test_what_cannot_be_read_is_no_limit(machine: Machine, line: str) -> None:
    machine.write("/proc/self/mountinfo", f"{line}\n\n - \n1 2 3 - cgroup2\n{V2}")
    machine.group(line)
    assert machine.count(8).threads == 8


def test_the_variable_decides(machine: Machine) -> None:
    machine.mount(V2)
    machine.group("0::/")
    machine.write("/sys/fs/cgroup/cpu.max", "100000 100000")
    found = machine.count(8, ETSEG_NUM_THREADS="5")
    assert (found.threads, found.reason, found.quota) == (5, "ETSEG_NUM_THREADS", 1.0)


@pytest.mark.parametrize("text", ["", "0", "-1", "2.5", "1025", "all"])
def test_a_variable_that_is_no_number(machine: Machine, text: str) -> None:
    with pytest.raises(InvalidConfigError, match="ETSEG_NUM_THREADS"):
        machine.count(8, ETSEG_NUM_THREADS=text)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_this_machine() -> None:
    found = count_cpus(environ={})
    assert found.allowed == len(os.sched_getaffinity(0))
    assert 1 <= found.threads <= found.cores <= found.allowed <= found.machine
    if found.quota is not None:
        assert found.threads <= math.ceil(found.quota)


@pytest.mark.parametrize("count", [0, -1, 1025, 10**6, 10**30])
def test_a_refused_number_of_threads_is_named_as_it_was_given(count: int) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=f"is {count}; expected 1 to 1024"):
        etseg.set_num_threads(count)
