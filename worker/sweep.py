"""Processes that lost their guard: find them and end them, so that none outlives its job.

A guard that is killed (by the kernel's memory killer, by a person) cannot end what double-forked.
The worker is a subreaper, so such processes become its children, and it kills them here.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from worker import proctree

SWEEP_SECONDS = 5.0


class Guards:
    """The living guards of this process, so that a sweep never takes one for an orphan."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pids: set[int] = set()

    @contextmanager
    def changing(self) -> Iterator[set[int]]:
        """Fork or reap a guard inside, and keep the set in step: no sweep looks in between."""
        with self._lock:
            yield self._pids

    def orphans(self, since: int) -> list[int]:
        """Children of this process that are no guards and began at clock tick `since` or later.

        Descendants of a guard are younger than it; a companion that the worker started for
        itself at its beginning is older and is spared.
        """
        with self._lock:
            strangers = set(proctree.children(os.getpid())) - self._pids
        return [pid for pid in strangers if (proctree.started_at(pid) or 0) >= since]


def become_subreaper() -> None:
    """Let processes that lose their guard become children of this process. Once, at its start."""
    proctree.prctl(proctree.PR_SET_CHILD_SUBREAPER, 1)


def kill_orphans(guards: Guards, since: int) -> int:
    """Kill and reap what a dead guard left behind; how many direct orphans were ended.

    Names every pid that it waits for: waitpid(-1) would steal the exit status of a proctree.
    """
    ended = 0
    deadline = time.monotonic() + SWEEP_SECONDS
    while (orphans := guards.orphans(since)) and time.monotonic() < deadline:
        for orphan in orphans:
            for pid in [*proctree.descendants(orphan), orphan]:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        ended += sum(map(_reaped, orphans))
        time.sleep(0.001)
    return ended


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # another thread's sweep was quicker
        return False
