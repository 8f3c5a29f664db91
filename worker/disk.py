"""Room on this machine's disk: promised to jobs before they start, and watched while they run."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.rounds import Rounds
from worker.supervision import End, Stop

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class NoRoomOnDisk(Exception):
    """A job that starts now would take the last room."""


def free_bytes_at(folder: Path) -> Callable[[], int]:
    """How much room the disk of a folder has, asked anew each time."""
    return lambda: shutil.disk_usage(folder).free


class Disk(Rounds):
    """Lets jobs start while enough stays free, and stops the youngest when it does not."""

    def __init__(self, free_bytes: Callable[[], int], least_bytes: int) -> None:
        super().__init__("disk watch", LOOK_SECONDS)
        self._free_bytes = free_bytes
        self._least_bytes = least_bytes
        self._promised = 0
        self._running: list[Stop] = []
        self._lock = threading.Lock()

    @contextmanager
    def room(self, need_bytes: int, stop: Stop) -> Iterator[None]:
        """Room for the block, which others cannot have meanwhile. Raises NoRoomOnDisk.

        `stop` gets End.DISK when the disk runs full all the same.
        """
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
        """Stop the job that began last when half of what shall stay free is gone."""
        with self._lock:
            if self._free_bytes() >= self._least_bytes // 2:
                return
            going = [stop for stop in self._running if stop.reason is None]
            if going:
                log.warning("the disk runs full: one job has to stop")
                going[-1].request(End.DISK)

    def _left(self) -> int:
        return self._free_bytes() - self._promised - self._least_bytes
