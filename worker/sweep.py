"""Processes that lost their guard: find them and end them, so that none outlives its job.

A guard that is killed (by the kernel's memory killer, by a person) cannot end what double-forked.
The worker is a subreaper, so such processes become its children, and it kills them here.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from worker import proctree
from worker.cgroups import Groups, find_groups
from worker.workspace import WorkFolder, is_ownerless, remove_leftovers

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
SECOND_LOOK_SECONDS = 0.1
MAX_LOOKS = 10


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

    def strangers(self) -> list[int]:
        """Children of this process, living or zombie, that are no guards."""
        with self._lock:
            return self._strangers()

    def kill_strangers(self, spared: Set[int], until: float) -> bool:
        """Kill and reap all but the spared, for no longer than that; whether there were any.

        No guard is started meanwhile: it could be given the number of one just reaped.
        """
        sent = set(spared)
        with self._lock:
            while proctree.kill_new(self._strangers(), sent) and time.monotonic() < until:
                pass
            for pid in sent - spared:
                _reap(pid)
        return sent > spared

    def _strangers(self) -> list[int]:
        return [pid for pid in proctree.children(os.getpid()) if pid not in self._pids]


def become_subreaper() -> None:
    """Let processes that lose their guard become children of this process. Once, at its start."""
    proctree.prctl(proctree.PR_SET_CHILD_SUBREAPER, 1)


def kill_orphans(guards: Guards, since: int) -> None:
    """Kill and reap what a guard left behind that began at clock tick `since`.

    What descends from a guard is younger than it; a companion that the worker started for itself
    at its beginning is older and is spared. A process that is no subreaper gets no orphans.
    """
    if not proctree.is_subreaper():
        return
    spared = {pid for pid in guards.strangers() if (proctree.started_at(pid) or since) < since}
    deadline = time.monotonic() + SWEEP_SECONDS
    while guards.kill_strangers(spared, deadline) and time.monotonic() < deadline:
        time.sleep(0.001)


def _reap(pid: int) -> None:
    """One that is named: waitpid(-1) would steal the exit status of a guard."""
    with suppress(ChildProcessError):  # a library of the worker waited for its own child
        os.waitpid(pid, os.WNOHANG)


def sweep_leftovers(work_folder: Path) -> int:
    """Kill processes of our user that work in a job's folder though no guard watches them.

    For the start of a worker: the one case that neither guard nor subreaper covers is that a
    worker and its guard were killed in the same instant. Best effort: a process that left the
    folder, closed its files and cleared its environment is not found. Whoever lives in the folder
    of a living worker, too, and those with a terminal are spared.
    """
    killed: set[_Process] = set()
    for _ in range(MAX_LOOKS):
        first = _leftovers(work_folder)
        if not first:
            break
        time.sleep(SECOND_LOOK_SECONDS)  # a worker that just starts opens its folder, then holds it
        for process in first & _leftovers(work_folder):
            _kill(process)
            killed.add(process)
    return len(killed)


def clean_work_folder(root: Path, worker_id: str) -> WorkFolder:
    """A folder of our own, after what dead workers left here was ended and removed."""
    work_folder = WorkFolder(root, worker_id)
    sweep_leftovers(root)
    remove_leftovers(root)
    return work_folder


def find_clean_groups(work_folder: Path) -> Groups | None:
    """Where each tool gets a memory group of its own, without those that dead workers left.

    None where a tool's files would count as its memory, since they lie in memory themselves. For
    the start of a worker, whose log says it.
    """
    in_memory = lies_in_memory(work_folder)
    if in_memory:
        log.warning(
            "the work folder lies in memory: files of running jobs take memory beside the budget",
            extra={"values": {"path": str(work_folder)}},
        )
    groups = None if in_memory else find_groups()
    left = groups.sweep() if groups else 0
    log.info(
        "each tool gets a memory group of its own" if groups else "tools get no memory groups",
        extra={"values": {"below": groups.home if groups else None, "left_over": left}},
    )
    return groups


def lies_in_memory(folder: Path) -> bool:
    """Whether what is written there takes memory that cannot be taken back."""
    inside = {folder.resolve(), *folder.resolve().parents}
    mounts = [it for it in psutil.disk_partitions(all=True) if Path(it.mountpoint) in inside]
    # Of two on one place the later hides the earlier.
    own = max(reversed(mounts), key=lambda mount: len(mount.mountpoint), default=None)
    return own is not None and own.fstype in {"tmpfs", "ramfs"}


class _Process(NamedTuple):
    pid: int
    started_at: int  # with it, a pid that is used again is another process


def _leftovers(root: Path) -> set[_Process]:
    found = set()
    for pid in proctree.processes():
        began = proctree.started_at(pid)
        folders = _worker_folders_of(pid, root.resolve())
        if began and folders and all(map(is_ownerless, folders)):
            found.add(_Process(pid, began))
    return found


def _worker_folders_of(pid: int, root: Path) -> set[Path]:
    """The folders of workers that it lives in, by what it cannot easily deny; none if it is not
    ours to end. A worker has its own one open for as long as it lives.
    """
    try:
        if Path(f"/proc/{pid}").stat().st_uid != os.getuid() or proctree.has_terminal(pid):
            return set()
        places = [Path(f"/proc/{pid}/cwd").readlink(), Path(proctree.home(pid))]
        places += [fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ended, or it is closed to us
        return set()
    below = [place.relative_to(root).parts for place in places if place.is_relative_to(root)]
    return {root / parts[0] for parts in below if parts}


def _kill(process: _Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        fd = os.pidfd_open(process.pid)
        try:
            if proctree.started_at(process.pid) == process.started_at:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
