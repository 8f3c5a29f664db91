"""Free space on the disks: reserved for jobs before they start, and watched while they run.

Jobs work on one disk, and artifacts may be kept on another: neither may run full.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Disk(PeriodicThread):
    """Admits jobs while enough space stays free, and stops the youngest when it does not."""

    def __init__(
        self,
        work_bytes: Callable[[], int],
        storage_bytes: Callable[[], int | None],
        least_bytes: int,
        timings: Timings = PRODUCTION,
    ) -> None:
        super().__init__("disk watch", timings.disk_look_seconds)
        self.work_bytes = work_bytes
        self._storage_bytes = storage_bytes
        self._least_bytes = least_bytes
        self._promised = 0
        self._running: list[Stop] = []
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
        )

    def storage_bytes(self) -> int | None:
        """For reports: free bytes for artifacts; 0 while the storage is away; None: no limit."""
        try:
            return self._storage_bytes()
        except StorageUnavailable:
            return 0

    @contextmanager
    def room(self, need_bytes: int, stop: Stop) -> Iterator[None]:
        """Reserve disk space for the block.

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
            self._running.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._promised -= need_bytes
                self._running.remove(stop)

    def round(self) -> None:
        """Stop the job that began last when half of the space that should stay free is used.

        The storage's disk is not watched: it fills only when a job ends, and the file may still
        fit.
        """
        with self._lock:
            if self.work_bytes() >= self._least_bytes // 2:
                return
            going = [stop for stop in self._running if stop.reason is None]
            if going:
                log.warning("the disk runs full: one job has to stop")
                going[-1].request(ProcessEnd.DISK)

    def _left(self) -> int:
        return self.work_bytes() - self._promised - self._least_bytes
