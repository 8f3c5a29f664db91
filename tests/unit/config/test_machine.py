"""The memory limit is found wherever the kernel keeps it; the default budget leaves room beside."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import machine
from config.machine import (
    cpu_count,
    group_limits,
    group_quotas,
    memory_limit_bytes,
    visible_cores,
)
from config.memory import STACK_BYTES, WORKER_BYTES, default_budget_bytes, too_little
from tests.support.needs import kernel_box

MIB = 1024**2
NO_LIMIT = "9223372036854771712"  # version 1 says it with the largest number of whole pages


def limits(folder: Path, own_groups: str, files: dict[str, str]) -> list[int]:
    """What is found in a mount that holds these files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own").write_text(own_groups)
    for name, text in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return sorted(group_limits(folder / "own", folder / "mount"))


def test_a_container_with_groups_of_its_own_finds_its_limit_at_the_root(tmp_path: Path) -> None:
    assert limits(tmp_path, "0::/\n", {"memory.max": "512"}) == [512]


def test_a_service_finds_its_limit_below_and_that_of_its_slice(tmp_path: Path) -> None:
    files = {"system.slice/memory.max": "900", "system.slice/clipmill.service/memory.max": "700"}
    assert limits(tmp_path, "0::/system.slice/clipmill.service\n", files) == [700, 900]


def test_a_group_beside_ours_limits_nobody_here(tmp_path: Path) -> None:
    files = {"theirs/memory.max": "5", "ours/memory.max": "max"}
    assert limits(tmp_path, "0::/ours\n", files) == []


@pytest.mark.parametrize("path", ["/kubepods/pod1/container", "/../../elsewhere"])
def test_a_path_that_is_not_seen_from_inside_leaves_the_root(tmp_path: Path, path: str) -> None:
    files = {"memory.max": "300", "../../elsewhere/memory.max": "1"}
    assert limits(tmp_path / "a" / "b", f"0::{path}\n", files) == [300]


def test_version_one_has_a_folder_for_the_memory(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": NO_LIMIT,
        "memory/docker/abc/memory.limit_in_bytes": "200",
        "memory/docker/other/memory.limit_in_bytes": "1",
    }
    own = "5:cpu,cpuacct:/docker/other\n4:memory:/docker/abc\n0::/\n"
    assert limits(tmp_path, own, files) == [200, int(NO_LIMIT)]


def test_where_both_versions_are_mounted_both_are_asked(tmp_path: Path) -> None:
    files = {"memory/a/memory.limit_in_bytes": "800", "unified/b/memory.max": "600"}
    assert limits(tmp_path, "4:memory:/a\n0::/b\n", files) == [600, 800]


def test_a_system_without_groups_has_no_such_limit(tmp_path: Path) -> None:
    assert list(group_limits(tmp_path / "none", tmp_path)) == []


@pytest.mark.parametrize("own_groups", ["", "0::/\n", None])
def test_without_a_limit_all_of_the_machine_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_groups: str | None
) -> None:
    if own_groups is not None:
        (tmp_path / "own").write_text(own_groups)
        (tmp_path / "memory.max").write_text("max\n")
        (tmp_path / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "GROUPS_MOUNT", tmp_path)
    assert memory_limit_bytes() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert cpu_count() == visible_cores() == len(os.sched_getaffinity(0))


QUOTAS: list[tuple[str, dict[str, str], list[float]]] = [
    ("0::/\n", {"cpu.max": "150000 100000"}, [1.5]),
    ("0::/\n", {"cpu.max": "max 100000"}, []),
    ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, [0.5]),
    ("0::/a/b\n", {"a/cpu.max": "50000 100000", "c/cpu.max": "10000 100000"}, [0.5]),
    ("0::/docker/abc\n", {"cpu.max": "200000 50000"}, [4.0]),
    (
        "3:cpu,cpuacct:/docker/abc\n0::/\n",
        {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        [2.5],
    ),
    (
        "3:cpu:/a\n2:cpuset:/b\n",
        {
            "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
            "cpu/a/cpu.cfs_quota_us": "10000", "cpu/a/cpu.cfs_period_us": "100000",
            "cpu/b/cpu.cfs_quota_us": "1", "cpu/b/cpu.cfs_period_us": "100000",
        },
        [0.1],
    ),
    ("3:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "100000"}, []),
    ("3:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "1000", "cpu/a/cpu.cfs_period_us": "0"}, []),
    ("0::/\n", {"cpu.max": "what is this"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("own_groups", "files", "quotas"), QUOTAS)
def test_a_quota_of_processor_time_is_found_in_this_group_and_those_around_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_groups: str,
    files: dict[str, str],
    quotas: list[float],
) -> None:
    limits(tmp_path, own_groups, files)
    assert list(group_quotas(tmp_path / "own", tmp_path / "mount")) == quotas
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "GROUPS_MOUNT", tmp_path / "mount")
    monkeypatch.setattr(machine, "visible_cores", lambda: 16)
    assert cpu_count() == min([16, *(max(1, math.ceil(quota)) for quota in quotas)])


def test_what_is_closed_to_this_process_limits_nothing(tmp_path: Path) -> None:
    limits(tmp_path, "0::/\n", {"cpu.max/not-a-file": "", "memory.max/not-a-file": ""})
    assert list(group_quotas(tmp_path / "own", tmp_path / "mount")) == []
    assert list(group_limits(tmp_path / "own", tmp_path / "mount")) == []


def test_the_machine_itself_is_a_limit() -> None:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "Total" in line)
    assert 0 < memory_limit_bytes() <= int(total.split()[1]) * 1024


def test_a_real_group_and_the_one_around_it_are_found() -> None:
    ask = "from config.machine import memory_limit_bytes; print(memory_limit_bytes())"
    limit = min(300 * MIB, memory_limit_bytes())
    with kernel_box(limit) as box:
        argv = [sys.executable, "-c", ask]
        done = subprocess.run(box.command(argv) if box else argv, capture_output=True, check=True)
        # Without the right to make a group, what is asked is this process's own.
        assert int(done.stdout) == (limit if box else memory_limit_bytes())
        if box:
            inner = box.inner("job")
            done = subprocess.run(inner.command(argv), capture_output=True, check=True)
            assert int(done.stdout) == limit
            inner.limit_to(200 * MIB)
            done = subprocess.run(inner.command(argv), capture_output=True, check=True)
            assert int(done.stdout) == 200 * MIB


@pytest.mark.parametrize("beside", [WORKER_BYTES, STACK_BYTES])
def test_budget_and_what_runs_beside_it_fit_into_the_limit(beside: int) -> None:
    for limit in range(64 * MIB, 2048 * MIB, 16 * MIB):
        budget = default_budget_bytes(limit, beside)
        assert 0 <= budget <= 512 * MIB
        assert budget == 512 * MIB or budget == max(0, limit - beside)
    assert str(beside // MIB) in too_little(100 * MIB, beside)
