"""What a worker does once before its first job: end and remove what dead workers left behind."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from config.timings import PRODUCTION, Timings
from worker.engine.workspace import WorkFolder, is_ownerless, remove_leftovers
from worker.process import tree
from worker.process.cgroups import Groups, find_groups

log = logging.getLogger(__name__)

SECOND_LOOK_SECONDS = 0.1
MAX_LOOKS = 10


def sweep_leftovers(work_folder: Path) -> int:
    """Kill processes of our user that work in a job's folder though no guard watches them.

    For the start of a worker: the one case that neither guard nor subreaper covers is that a
    worker and its guard were killed in the same instant. Best effort: a process that left the
    folder, closed its files and cleared its environment is not found. A process that also uses the
    folder of a living worker is spared, and so is a process with a terminal.
    """
    killed: set[_Process] = set()
    for _ in range(MAX_LOOKS):
        first = _leftovers(work_folder)
        if not first:
            break
        time.sleep(SECOND_LOOK_SECONDS)  # a worker that just starts opens its folder, then locks it
        for process in first & _leftovers(work_folder):
            _kill(process)
            killed.add(process)
    return len(killed)


def clean_work_folder(root: Path, worker_id: str, timings: Timings = PRODUCTION) -> WorkFolder:
    """A folder of our own, after the processes and folders of dead workers were removed."""
    work_folder = WorkFolder(root, worker_id, timings)
    sweep_leftovers(root)
    remove_leftovers(root)
    return work_folder


def find_clean_groups(work_folder: Path) -> Groups | None:
    """Where each tool gets a memory group of its own, after those of dead workers were removed.

    None where groups cannot be made, or where a tool's files would count as its memory, since the
    work folder lies in memory. For the start of a worker; its log says which.
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
    """Whether files in the folder take memory that the kernel cannot free."""
    inside = {folder.resolve(), *folder.resolve().parents}
    mounts = [it for it in psutil.disk_partitions(all=True) if Path(it.mountpoint) in inside]
    # Of two mounts at one place the later hides the earlier.
    own = max(reversed(mounts), key=lambda mount: len(mount.mountpoint), default=None)
    return own is not None and own.fstype in {"tmpfs", "ramfs"}


class _Process(NamedTuple):
    pid: int
    started_at: int  # with it, a pid that is used again is another process


def _leftovers(root: Path) -> set[_Process]:
    found = set()
    for pid in tree.processes():
        began = tree.started_at(pid)
        folders = _worker_folders_of(pid, root.resolve())
        if began and folders and all(map(is_ownerless, folders)):
            found.add(_Process(pid, began))
    return found


def _worker_folders_of(pid: int, root: Path) -> set[Path]:
    """The workers' folders that a process uses, by what it cannot easily hide; none if the process
    is not ours to end. A living worker has its own folder open.
    """
    try:
        if Path(f"/proc/{pid}").stat().st_uid != os.getuid() or tree.has_terminal(pid):
            return set()
        places = [Path(f"/proc/{pid}/cwd").readlink(), Path(tree.home(pid))]
        places += [fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # the process ended, or may not be read
        return set()
    below = [place.relative_to(root).parts for place in places if place.is_relative_to(root)]
    return {root / parts[0] for parts in below if parts}


def _kill(process: _Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        fd = os.pidfd_open(process.pid)
        try:
            if tree.started_at(process.pid) == process.started_at:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
