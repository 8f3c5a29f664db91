"""Processes that lost their guard: find them and end them, so that none outlives its job.

A guard that is killed (by the kernel's memory killer, by a person) cannot end processes that
double-forked. The worker is a subreaper, so they become its children, and it kills them here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress

from worker.process import tree

SWEEP_SECONDS = 5.0


class LivingGuards:
    """The living guards of this process, so that a sweep never takes one for an orphan."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pids: set[int] = set()

    @contextmanager
    def changing(self) -> Iterator[set[int]]:
        """The set of guards, locked: fork or reap a guard and change the set before any sweep."""
        with self._lock:
            yield self._pids

    def strangers(self) -> list[int]:
        """Children of this process, living or zombie, that are no guards."""
        with self._lock:
            return self._strangers()

    def kill_strangers(self, spared: Set[int], until: float) -> bool:
        """Kill and reap all strangers but the spared, at most until then; whether there were any.

        No guard is started meanwhile: it could get the pid of a process just reaped.
        """
        sent = set(spared)
        with self._lock:
            while tree.kill_new(self._strangers(), sent) and time.monotonic() < until:
                pass
            for pid in sent - spared:
                _reap(pid)
        return sent > spared

    def _strangers(self) -> list[int]:
        return [pid for pid in tree.children(os.getpid()) if pid not in self._pids]


def become_subreaper() -> None:
    """Let processes that lose their guard become children of this process. Once, at its start."""
    tree.prctl(tree.PR_SET_CHILD_SUBREAPER, 1)


def kill_orphans(guards: LivingGuards, since: int) -> None:
    """Kill and reap the processes of a dead guard that began at clock tick `since`.

    A guard's descendants are younger than the guard. A process that the worker started for itself
    at its beginning is older and is spared. A process that is no subreaper gets no orphans.
    """
    if not tree.is_subreaper():
        return
    spared = {pid for pid in guards.strangers() if (tree.started_at(pid) or since) < since}
    deadline = time.monotonic() + SWEEP_SECONDS
    while guards.kill_strangers(spared, deadline) and time.monotonic() < deadline:
        time.sleep(0.001)


def _reap(pid: int) -> None:
    """Reap one pid alone: waitpid(-1) would steal the exit status of a guard."""
    with suppress(ChildProcessError):  # a library of the worker waited for its own child
        os.waitpid(pid, os.WNOHANG)
