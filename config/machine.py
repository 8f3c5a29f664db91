"""What this machine or container offers: cores and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS_MOUNT = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit_bytes() -> int:
    """The most that this process and those beside it can use: what the container or service may
    have, or the machine has, whichever is least."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine_bytes, *group_limits(OWN_GROUPS, GROUPS_MOUNT))


def group_limits(own_groups: Path, mount: Path) -> Iterator[int]:
    """The memory limits of this process's control group and of all groups around it.

    `own_groups` has a line `ID:CONTROLLERS:PATH` for each hierarchy. Version 2 names no controllers
    and is the whole mount, or a folder of it where version 1 has the memory.
    """
    for controllers, path in _own_paths(own_groups):
        if controllers == "":
            for root in (mount, mount / "unified"):
                yield from _limits_up(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_up(mount / "memory", path, "memory.limit_in_bytes")


def _own_paths(own_groups: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:  # no Linux, or no /proc
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        yield controllers, path


def _limits_up(root: Path, path: str, name: str) -> Iterator[int]:
    """The limits from a group up to the root of its hierarchy.

    A container may see its own group as the root, while the path is still the host's, or leads out
    of what is seen (`/../..`): then the folders of the path are not there, and the root counts.
    """
    group = Path(path.strip("/"))
    if ".." in group.parts:
        group = Path()
    for folder in (group, *group.parents):
        yield from _limit(root / folder / name)


def _limit(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:  # no such group here, or a root, which has no limit
        return
    if text.isdigit():  # else it says `max`; version 1 says a number that no machine has
        yield int(text)
