"""The tool with all its descendants, as its guard sees them: what they use, and why to end them."""

from __future__ import annotations

import os
import select
import time

from worker.process import disk_usage, tree

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.process.guard_options import GuardOptions

TICK_SECONDS = 0.2
MAX_PROCESSES = 64  # of one job: yt-dlp with its helpers has six


class ToolTree:
    """One running tool with all its descendants: what they use, and why they must end."""

    def __init__(self, options: GuardOptions, parent_fd: int, tool: int) -> None:
        self.peak_bytes = 0
        self.status = 0
        self._options = options
        self._tool = tool
        self._disk_due = 0.0
        self._deadline = time.monotonic() + options.deadline_seconds
        self._parent_fd = parent_fd
        self._tool_fd = os.pidfd_open(tool)
        self._poll = select.poll()
        for fd in (0, self._tool_fd, parent_fd):
            self._poll.register(fd, select.POLLIN)

    def until_end(self) -> str:
        """Wait for the tool's end or for a reason to end it; TERM and grace where there is time."""
        why = self._until(self._deadline) or "deadline"
        if why in ("stopped", "deadline"):
            self._terminate()
            self._until(time.monotonic() + self._options.grace_seconds)
        return why

    def _terminate(self) -> None:
        """TERM to the tool's group, or to the tool when it has not made its group yet."""
        if not tree.signalled(os.killpg, self._tool, tree.SIGTERM):
            tree.signalled(os.kill, self._tool, tree.SIGTERM)

    def _until(self, end: float) -> str | None:
        while (left := end - time.monotonic()) > 0:
            events = self._poll.poll(min(left, TICK_SECONDS) * 1000)
            if why := self._event({fd for fd, _ in events}) or self._excess():
                return why
        return None

    def _event(self, ready: set[int]) -> str | None:
        if self._tool_fd in ready:
            return "exited"
        if self._parent_fd in ready:
            return "orphaned"
        if 0 in ready:
            return {b"T": "stopped", b"K": "killed"}.get(os.read(0, 1), "orphaned")
        return None

    def _excess(self) -> str | None:
        """The limit that is exceeded now, or None; updates the peak as well."""
        self.reap()
        pids: list[int] = []
        for pid in tree.descendants(os.getpid()):
            pids.append(pid)
            if len(pids) > MAX_PROCESSES:
                return "processes"  # at once: they may be doubling
        used = self._used_bytes(pids)
        self.peak_bytes = max(self.peak_bytes, used)
        if self._options.memory_bytes and used > self._options.memory_bytes:
            return "memory"
        return "disk" if self._disk_is_full(pids) else None

    def _used_bytes(self, pids: Sequence[int]) -> int:
        """RSS, which is cheap to read, while it shows that PSS is below the limit; else PSS."""
        used = sum(map(tree.resident_bytes, pids))
        if self._options.memory_bytes and used > self._options.memory_bytes:
            return sum(map(tree.proportional_bytes, pids))
        return used

    def _disk_is_full(self, pids: Sequence[int]) -> bool:
        started = time.monotonic()
        if not self._options.folder_bytes or started < self._disk_due:
            return False
        left = self._options.folder_bytes - disk_usage.unlinked_bytes(pids)
        full = disk_usage.exceeds(".", left)
        took = time.monotonic() - started
        self._disk_due = started + 20 * took  # at most a twentieth of the time goes there
        return full

    def reap(self) -> bool:
        """Reap all that have ended; whether any descendant is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._tool:
                    self.status = status
        except ChildProcessError:
            return False

    def kill_all(self) -> None:
        """SIGKILL every descendant again and again until none is left.

        A process that double-forked is a descendant as well: this process is a subreaper.
        """
        while True:
            sent: set[int] = set()
            while tree.kill_new(tree.children(os.getpid()), sent):
                pass
            if not self.reap():
                return
            time.sleep(0.001)
