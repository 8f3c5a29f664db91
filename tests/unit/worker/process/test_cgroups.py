"""Where memory groups are looked for, on folders laid out as the kernel lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.process import tree
from worker.process.cgroups import Group, Groups, find_groups, version_of


def lay_out(path: Path, **files: str) -> Path:
    """A group with these files, and this process in it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def told(tmp_path: Path, *lines: str) -> str:
    """What /proc/self/cgroup would say."""
    file = tmp_path / "own"
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)


def test_version_1_is_found_at_the_path_of_this_process(tmp_path: Path) -> None:
    home = lay_out(tmp_path / "mount/memory/app/one")
    own = told(tmp_path, "9:name=systemd:/", "4:cpu,memory:/app/one", "0::/")
    groups = find_groups(own, str(tmp_path / "mount"))
    assert groups is not None
    assert groups.home == str(home)
    assert version_of(groups.home) == 1


def test_version_1_in_a_container_is_found_where_its_own_group_is_shown_as_the_root(
    tmp_path: Path,
) -> None:
    home = lay_out(tmp_path / "mount/memory")
    groups = find_groups(told(tmp_path, "4:memory:/docker/abc"), str(tmp_path / "mount"))
    assert groups is not None
    assert groups.home == str(home)


def test_version_2_is_used_where_it_counts_memory_below(tmp_path: Path) -> None:
    home = lay_out(
        tmp_path / "mount/slice/app",
        cgroup__controllers="cpu memory pids\n",
        cgroup__subtree_control="memory\n",
    )
    groups = find_groups(told(tmp_path, "0::/slice/app"), str(tmp_path / "mount"))
    assert groups is not None
    assert groups.home == str(home)
    assert version_of(groups.home) == 2
    (made,) = home.glob("clipmill-*")
    assert (made / "memory.swap.max").read_text() == "0"
    assert int((made / "memory.max").read_text()) > 2**30


def test_version_2_is_told_to_count_memory_after_this_process_has_moved_down(
    tmp_path: Path,
) -> None:
    files = {"cgroup__controllers": "memory\n", "cgroup__subtree_control": "\n"}
    home = lay_out(tmp_path / "mount/app", **files)
    assert find_groups(told(tmp_path, "0::/app"), str(tmp_path / "mount")) is not None
    assert (home / "cgroup.subtree_control").read_text() == "+memory"
    (leaf,) = home.glob("clipmill-*-worker")
    assert (leaf / "cgroup.procs").read_text() == "0"


def test_without_the_memory_controller_there_are_no_groups(tmp_path: Path) -> None:
    files = {"cgroup__controllers": "cpu pids\n", "cgroup__subtree_control": "cpu\n"}
    lay_out(tmp_path / "mount", **files)
    assert find_groups(told(tmp_path, "0::/"), str(tmp_path / "mount")) is None


def test_a_group_that_does_not_hold_this_process_is_not_its_own(tmp_path: Path) -> None:
    home = lay_out(tmp_path / "mount/memory/app")
    (home / "cgroup.procs").write_text("1\n")
    assert find_groups(told(tmp_path, "4:memory:/app"), str(tmp_path / "mount")) is None


def test_a_kernel_without_groups_has_none(tmp_path: Path) -> None:
    assert find_groups(str(tmp_path / "nothing"), str(tmp_path)) is None
    assert find_groups(told(tmp_path, "4:memory:/app"), str(tmp_path)) is None


def test_no_name_is_given_twice_and_each_names_this_process(tmp_path: Path) -> None:
    groups = Groups(str(tmp_path))
    names = {Path(groups.next()).name for _ in range(9)}
    assert len(names) == 9
    begun = tree.started_at(os.getpid())
    assert all(name.startswith(f"clipmill-{os.getpid()}-{begun}-") for name in names)


def test_a_sweep_removes_what_dead_workers_left_and_nothing_else(tmp_path: Path) -> None:
    groups = Groups(str(tmp_path))
    living = Path(groups.next())
    another = tmp_path / f"clipmill-1-{tree.started_at(1)}-0"
    foreign = tmp_path / "clipmill-test-0a1b"
    used = tmp_path / "clipmill-999999999-3-2"
    left = [tmp_path / "clipmill-999999999-3-1", tmp_path / f"clipmill-{os.getpid()}-1-0"]
    for folder in (living, another, foreign, used, *left):
        folder.mkdir()
    (used / "process").touch()  # a folder that cannot be removed, as a group in use cannot
    assert groups.sweep() == 2
    assert set(tmp_path.iterdir()) == {living, another, foreign, used}


@pytest.mark.parametrize(
    ("version", "files", "killed"),
    [
        (1, {"memory.oom_control": "under_oom 0\noom_kill 1", "memory.failcnt": "7"}, True),
        (1, {"memory.oom_control": "oom_kill 1", "memory.memsw.failcnt": "7"}, True),
        (1, {"memory.oom_control": "under_oom 0\noom_kill 1", "memory.failcnt": "0"}, False),
        (1, {"memory.oom_control": "under_oom 0\noom_kill 0", "memory.failcnt": "7"}, False),
        (2, {"memory.events": "low 0\nmax 9\noom 1\noom_kill 1"}, True),
        (2, {"memory.events": "low 0\nmax 9\noom 0\noom_kill 1"}, False),
        (2, {"memory.events": "low 0\nmax 9\noom 1\noom_kill 0"}, False),
        (2, {}, False),
    ],
)
def test_a_kill_for_the_limit_of_a_group_above_is_not_one_for_its_own(
    tmp_path: Path, version: int, files: dict[str, str], killed: bool
) -> None:
    if version == 2:
        (tmp_path / "cgroup.controllers").write_text("memory\n")
    group = Group(str(tmp_path / "tool"), 2**20)
    for name, text in files.items():
        (tmp_path / "tool" / name).write_text(f"{text}\n")
    assert group.killed() is killed
