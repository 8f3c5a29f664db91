"""Memory groups of the kernel (cgroups): one for each tool, where this worker may make them.

Between two checks of the guard a tool can allocate gigabytes; the kernel checks each page. Beside
the tool's own memory such a group counts the cached pages of its files: the kernel drops them when
memory is needed, so a group's own peak does not show what the tool needed.

Nothing may depend on a group: a container often shows these folders read-only.

Standard library only and quick to import: every guard pays for it.
"""

from __future__ import annotations

import itertools
import os
import time

from worker.process import tree

MOUNT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
NAME = "clipmill"
REMOVE_SECONDS = 1.0  # a process that was just reaped may hold its group a moment longer
# Of memory (version 1: then of memory and swap together; version 2: of swap alone).
_LIMITS = {
    1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    2: ("memory.max", "memory.swap.max"),
}
# Where the kernel counts what it killed in a group. It may have killed for the limit of a group
# above, as a container's; `_HITS` count how often this group reached its own limit.
_KILLS = {1: "memory.oom_control", 2: "memory.events"}
_HITS = ("memory.failcnt", "memory.memsw.failcnt")  # of version 1; version 2 says it with its kills


class Groups:
    """The group below which this worker may make groups; each name is used once."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._name = f"{NAME}-{os.getpid()}-{tree.started_at(os.getpid())}"
        self._numbers = itertools.count()

    def next(self) -> str:
        """The path for a new group, which the guard makes."""
        return f"{self.home}/{self._name}-{next(self._numbers)}"

    def sweep(self) -> int:
        """Remove the groups of workers that have ended; how many there were."""
        names = [it for it in os.listdir(self.home) if it.startswith(f"{NAME}-")]  # noqa: PTH208
        return sum(_removed(f"{self.home}/{it}") for it in names if not _has_worker(it))


class Group:
    """The group of one tool. The guard makes and removes it; the tool enters it before it begins.

    An empty path means no group, and so does a group that cannot be made: the guard still checks.
    """

    def __init__(self, path: str, limit_bytes: int) -> None:
        self.path = path
        self._version = version_of(os.path.dirname(path))  # noqa: PTH120  # `pathlib` is slow
        if path and not _made(path, self._version, limit_bytes):
            self.path = ""

    def enter(self) -> None:
        """Move the calling process, which is about to become the tool, into the group."""
        if self.path:
            _written(f"{self.path}/cgroup.procs", "0")  # 0: the process that writes

    def killed(self) -> bool:
        """Whether the kernel killed a process in the group for the group's own limit."""
        if not self.path:
            return False
        told = _told(f"{self.path}/{_KILLS[self._version]}")
        counts = dict(line.split(None, 1) for line in told.splitlines())
        if int(counts.get("oom_kill", 0)) == 0:
            return False
        if self._version == 2:
            return int(counts.get("oom", 0)) > 0
        return any(int(_told(f"{self.path}/{name}") or 0) for name in _HITS)

    def remove(self) -> None:
        """Remove the group, after its last process was reaped."""
        until = time.monotonic() + REMOVE_SECONDS
        while self.path and not _removed(self.path) and time.monotonic() < until:
            time.sleep(0.01)


def find_groups(own: str = OWN, mount: str = MOUNT) -> Groups | None:
    """Where groups can be made, tested by making one; None when nowhere. Once, at a start."""
    try:
        homes = _homes(tree.read(own), mount)
    except OSError:  # a kernel without groups
        return None
    for home in homes:
        groups = Groups(home)
        if _works(groups):
            return groups
    return None


def remove(path: str) -> None:
    """Remove the group of a guard that died before it could."""
    _removed(path)


def version_of(home: str) -> int:
    """The version of the groups below; each group of version 2 lists its controllers."""
    return 2 if os.path.exists(f"{home}/cgroup.controllers") else 1  # noqa: PTH110


def _homes(own: str, mount: str) -> list[str]:
    """The memory groups that this process is in: of version 1, of version 2, or none."""
    found = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            # A container may show its own group as the topmost one.
            found += [f"{mount}/memory{path.rstrip('/')}", f"{mount}/memory"]
        elif not controllers:
            found += [f"{mount}{path.rstrip('/')}", f"{mount}/unified{path.rstrip('/')}"]
    return [home for home in found if _is_ours(home)]


def _is_ours(home: str) -> bool:
    try:
        if version_of(home) == 2 and "memory" not in _words(f"{home}/cgroup.controllers"):
            return False
        return str(os.getpid()) in _words(f"{home}/cgroup.procs")
    except OSError:
        return False


def _works(groups: Groups) -> bool:
    """Whether a group can be made there, with a limit."""
    path = groups.next()
    try:
        if version_of(groups.home) == 2:
            _enable(groups)
        return _made(path, version_of(groups.home), 2**40)
    except OSError:
        return False
    finally:
        _removed(path)


def _enable(groups: Groups) -> None:
    """Enable memory limits in the groups below: version 2 allows it only in a group of no process.

    So this process moves down, which is enough where no other process is in its group.
    """
    control = f"{groups.home}/cgroup.subtree_control"
    if "memory" in _words(control):
        return
    leaf = f"{groups.next()}-worker"
    os.mkdir(leaf)  # noqa: PTH102
    try:
        _write(f"{leaf}/cgroup.procs", "0")
        _write(control, "+memory")
    except OSError:
        _write(f"{groups.home}/cgroup.procs", "0")
        _removed(leaf)
        raise


def _made(path: str, version: int, limit_bytes: int) -> bool:
    try:
        os.mkdir(path)  # noqa: PTH102
    except OSError:
        return False
    limit, swap_limit = _LIMITS[version]
    if not _written(f"{path}/{limit}", str(limit_bytes)):
        _removed(path)
        return False
    # A tool that does not fit must fail, not crawl in swap; a kernel without swap has no such file.
    _written(f"{path}/{swap_limit}", str(limit_bytes if version == 1 else 0))
    return True


def _has_worker(name: str) -> bool:
    """Whether the worker that a group is named after still runs."""
    fields = name.split("-")
    return len(fields) < 4 or str(tree.started_at(int(fields[1]))) == fields[2]


def _removed(path: str) -> bool:
    """Remove a group. The kernel refuses while a process is in it, so trying does no harm."""
    try:
        os.rmdir(path)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _written(path: str, text: str) -> bool:
    try:
        _write(path, text)
    except OSError:
        return False
    return True


def _told(path: str) -> str:
    """The text of a group's file; empty where there is none."""
    try:
        return tree.read(path)
    except OSError:
        return ""


def _words(path: str) -> list[str]:
    return tree.read(path).split()


def main() -> None:
    """Print whether a worker that is started from here could make groups; for `clipmill doctor`."""
    groups = find_groups()
    print(f"one for each tool, below {groups.home}" if groups else "none can be made here")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(text)


if __name__ == "__main__":
    main()
