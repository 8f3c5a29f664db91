"""The memory limit is found wherever the kernel keeps it; the default budget leaves room beside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config.machine import group_limits, memory_limit_bytes
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
