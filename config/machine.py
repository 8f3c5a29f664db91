"""What this machine or container offers: cores and memory.

A limit that cannot be read counts as no limit. Reading the limits needs no special right.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS_MOUNT = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """Cores whose whole time this process can have. A container's quota may be less than the cores
    that it sees: more jobs at once would then only halt one another."""
    quotas = group_quotas(OWN_GROUPS, GROUPS_MOUNT)
    return min([visible_cores(), *(max(1, math.ceil(cores)) for cores in quotas)])


def visible_cores() -> int:
    """Cores that this process may run on. Tools start a thread for each, whatever the quota is."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit_bytes() -> int:
    """The most that this process and the processes beside it can use: the memory of the machine, or
    the limit of the container or service if that is less."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine_bytes, *group_limits(OWN_GROUPS, GROUPS_MOUNT)])


def group_limits(own_groups: Path, mount: Path) -> Iterator[int]:
    """The memory limits of this process's control group and of all groups around it.

    A group of version 1 without a limit reports a number that is larger than any machine's memory.
    """
    for folder in _own_folders(own_groups, mount, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            yield from _numbers(folder / name)[:1]


def group_quotas(own_groups: Path, mount: Path) -> Iterator[float]:
    """The CPU quotas, in cores, of this process's control group and of all groups around it."""
    for folder in _own_folders(own_groups, mount, "cpu"):
        together = _numbers(folder / "cpu.max")
        apart = _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
        for found in (together, apart):
            if len(found) == 2 and all(found):
                yield found[0] / found[1]


def _own_folders(own_groups: Path, mount: Path, controller: str) -> Iterator[Path]:
    """This process's group and all around it, in each hierarchy that may hold the controller.

    `own_groups` has a line `ID:CONTROLLERS:PATH` for each hierarchy. Version 2 names no controller.
    Its hierarchy is the whole mount, or the folder `unified` where version 1 has the controllers.
    """
    for controllers, path in _own_paths(own_groups):
        if controllers == "":
            yield from _folders_up(mount, path)
            yield from _folders_up(mount / "unified", path)
        elif controller in controllers.split(","):
            for name in {controller, controllers}:  # often a folder and a link to it
                yield from _folders_up(mount / name, path)


def _own_paths(own_groups: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:  # no Linux, or no /proc
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        yield controllers, path


def _folders_up(root: Path, path: str) -> Iterator[Path]:
    """The folders from a group up to the root of its hierarchy, also folders that do not exist.

    A container may see its own group as the root while the path is still the host's, or leads out
    of the mount (`/../..`). Then the folders of the path do not exist, and the root counts.
    """
    group = Path(path.strip("/"))
    if ".." in group.parts:
        group = Path()
    for folder in (group, *group.parents):
        yield root / folder


def _numbers(file: Path) -> list[int]:
    """The numbers in a file; none where the file holds `max` or -1, which mean no limit."""
    try:
        words = file.read_text().split()
    except OSError:  # no such group here, a root, which has no limit, or not readable for us
        return []
    return [int(word) for word in words] if all(map(str.isdigit, words)) else []
