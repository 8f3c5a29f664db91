"""The other workers, by their reports: which could run a job that does not fit here."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from tasks.errors import StoreUnavailable
from tasks.metrics.report import WorkerReport
from tasks.store.workers import Workers

log = logging.getLogger(__name__)


class Peers:
    """The reports of the other workers, read when a job waits long or can never fit."""

    def __init__(self, workers: Workers, own_id: str) -> None:
        self._workers = workers
        self._own_id = own_id

    def could_begin(self, kind: str, need_bytes: int) -> bool:
        """Whether a peer has a free slot and memory for such a job now."""
        try:
            return any(_has_room(report, need_bytes) for report in self._serving(kind))
        except StoreUnavailable:
            log.warning("the store is away; no peer can take over a job")
            return False

    def largest_budget(self, kind: str) -> int:
        """The largest memory budget of a peer for jobs of a kind. Raises StoreUnavailable."""
        return max((report.memory_budget_bytes for report in self._serving(kind)), default=0)

    def _serving(self, kind: str) -> Iterator[WorkerReport]:
        reports = self._workers.present()
        return (it for it in reports if it.id != self._own_id and kind in it.kinds)


def _has_room(report: WorkerReport, need_bytes: int) -> bool:
    has_bytes = report.memory_reserved_bytes + need_bytes <= report.memory_budget_bytes
    has_disk = min(report.free_bytes_by_disk.values()) >= report.disk_floor_bytes
    return report.running < report.concurrency and has_bytes and has_disk
