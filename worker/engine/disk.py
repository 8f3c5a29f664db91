"""Free space on the disks: reserved for jobs before they start, and watched while they run.

Jobs work on one disk, and artifacts may be kept on another: neither may run full.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from config.timings import PRODUCTION, Timings
from tasks.errors import StorageUnavailable
from tasks.storage import Storage
from worker.engine.periodic import PeriodicThread
from worker.engine.workspace import WorkFolder
from worker.process.limits import ProcessEnd, Stop

log = logging.getLogger(__name__)


class NoRoomOnDisk(Exception):
    """A job that starts now would take the last free space."""


@dataclass(frozen=True, eq=False)
class _Running:
    """A job that works on the disk."""

    workspace: str
    need_bytes: int
    stop: Stop


class Disk(PeriodicThread):
    """Admits jobs while enough space stays free, and stops the one that grew when it does not."""

    def __init__(
        self,
        work_bytes: Callable[[], int],
        storage_bytes: Callable[[], int | None],
        least_bytes: int,
        timings: Timings = PRODUCTION,
        used_bytes: Callable[[str], int] = lambda name: 0,
    ) -> None:
        super().__init__("disk watch", timings.disk_look_seconds)
        self.work_bytes = work_bytes
        self._storage_bytes = storage_bytes
        self._least_bytes = least_bytes
        self._promised = 0
        self._used_bytes = used_bytes
        self._running: list[_Running] = []
        self._lock = threading.Lock()

    @classmethod
    def under(
        cls,
        work_folder: WorkFolder,
        storage: Storage,
        least_bytes: int,
        timings: Timings = PRODUCTION,
    ) -> Self:
        """The disks of a worker; their free space is read anew each time."""
        return cls(
            lambda: shutil.disk_usage(work_folder.path).free,
            storage.free_bytes,
            least_bytes,
            timings,
            work_folder.used_bytes,
        )

    def storage_bytes(self) -> int | None:
        """For reports: free bytes for artifacts; 0 while the storage is away; None: no limit."""
        try:
            return self._storage_bytes()
        except StorageUnavailable:
            return 0

    @contextmanager
    def room(self, need_bytes: int, stop: Stop, workspace: str = "") -> Iterator[None]:
        """Reserve disk space for the block, for the files of a workspace.

        Raises NoRoomOnDisk, or StorageUnavailable while no result could be stored. `stop` is
        requested with ProcessEnd.DISK when the disk runs full all the same.
        """
        # Not under the lock: the storage may be on another machine, and slow.
        free = self._storage_bytes()
        if free is not None and free < max(1, self._least_bytes):
            raise NoRoomOnDisk
        with self._lock:
            if self._least_bytes and self._left() < need_bytes:
                raise NoRoomOnDisk
            self._promised += need_bytes
            running = _Running(workspace, need_bytes, stop)
            self._running.append(running)
        try:
            yield
        finally:
            with self._lock:
                self._promised -= need_bytes
                self._running.remove(running)

    def round(self) -> None:
        """Stop the job that grew most when half of the space that should stay free is used.

        Of jobs that all keep to what they reserved, the one that began last is stopped.

        The storage's disk is not watched: it fills only when a job ends, and the file may still
        fit.
        """
        with self._lock:
            if self.work_bytes() >= self._least_bytes // 2:
                return
            going = [it for it in reversed(self._running) if it.stop.reason is None]
        if not going:
            return
        # Not under the lock: a workspace may have many files.
        largest = max(going, key=lambda it: max(0, self._used_bytes(it.workspace) - it.need_bytes))
        values = {"workspace": largest.workspace}
        log.warning("the disk runs full: one job has to stop", extra={"values": values})
        largest.stop.request(ProcessEnd.DISK)

    def _left(self) -> int:
        return self.work_bytes() - self._promised - self._least_bytes
