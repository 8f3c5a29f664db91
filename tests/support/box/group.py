"""A small box: a memory group of the kernel, which counts and limits the memory inside.

Made with version 1 of control groups, below the group of this process, which needs root. Without
these `small_box` yields None, and the caller has to measure the processes themselves.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup/memory")
REMOVE_SECONDS = 10.0  # an ended process leaves its group with a delay
# Starts a command inside: the shell enters the group, then becomes the command.
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@dataclass(frozen=True)
class Box:
    """A group with its child groups, which a worker may make for its jobs."""

    path: Path

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that starts `argv` inside the group."""
        return ["/bin/sh", "-c", ENTER, str(self.path), *argv]

    def limit_to(self, limit_bytes: int) -> None:
        """Limit memory, and memory with swap, so that nothing can be swapped out."""
        (self.path / "memory.limit_in_bytes").write_text(str(limit_bytes))
        with_swap = self.path / "memory.memsw.limit_in_bytes"
        if with_swap.exists():  # only where the kernel accounts for swap
            with_swap.write_text(str(limit_bytes))

    def inner(self, name: str) -> Box:
        """A child group without a limit of its own."""
        (self.path / name).mkdir()
        return Box(self.path / name)

    def peak_bytes(self) -> int:
        """The largest charge so far, files in the page cache included."""
        return self._number("memory.max_usage_in_bytes")

    def killed(self) -> int:
        """Processes that the kernel killed for lack of memory, also in child groups that still
        exist. A kill in a group that was removed is in the worker's report on its job."""
        return sum(_fields(folder / "memory.oom_control")["oom_kill"] for folder in self._groups())

    def held_bytes(self) -> int:
        """What the kernel cannot reclaim: memory of processes, files in memory, its own memory."""
        stat = _fields(self.path / "memory.stat")
        kernel = self._number("memory.kmem.usage_in_bytes")
        return stat["total_rss"] + stat.get("total_shmem", 0) + kernel

    def pids(self) -> list[int]:
        """Everything that runs inside."""
        found: list[int] = []
        for folder in self._groups():
            found += map(int, (folder / "cgroup.procs").read_text().split())
        return found

    def remove(self) -> None:
        """Remove the group once it is empty. Raises OSError if a process goes on running inside."""
        give_up_at = time.monotonic() + REMOVE_SECONDS
        for folder in reversed(self._groups()):  # the deepest first
            while True:
                try:
                    folder.rmdir()
                    break
                except OSError:
                    if time.monotonic() > give_up_at:
                        raise
                    time.sleep(0.05)

    def _groups(self) -> list[Path]:
        below = [path for path in self.path.rglob("*") if path.is_dir()]
        return [self.path, *sorted(below)]

    def _number(self, name: str) -> int:
        return int((self.path / name).read_text())


@contextmanager
def small_box(limit_bytes: int) -> Iterator[Box | None]:
    """A box of this size, removed at the end; None where no group can be made."""
    box = Box(own_group() / f"small-box-{secrets.token_hex(4)}")
    try:
        box.path.mkdir()
    except OSError:
        yield None
        return
    try:
        box.limit_to(limit_bytes)
        yield box
    finally:
        box.remove()


def own_group() -> Path:
    """The memory group that this process is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") and os.path.isdir(f"{MOUNT}{path}"):  # noqa: PTH112
            return MOUNT / path.strip("/")
    return MOUNT


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {name: int(value) for name, value in pairs}
