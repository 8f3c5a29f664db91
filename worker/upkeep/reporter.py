"""The report that a worker writes every few seconds, for /metrics and health."""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg

from config.settings import Settings
from config.timings import PRODUCTION, Timings
from config.ytdlp import present_version
from tasks.errors import StoreUnavailable
from tasks.job import WaitReason
from tasks.metrics.bottleneck import Limit, limit_of
from tasks.metrics.report import WorkerReport
from tasks.store import Store
from worker.engine.budget import Budget
from worker.engine.disk import Disk
from worker.engine.heartbeat import Heartbeat
from worker.engine.periodic import PeriodicThread
from worker.engine.preconditions import Preconditions
from worker.upkeep.load import LoadMeter, tools_bytes

log = logging.getLogger(__name__)


class Reporter(PeriodicThread):
    """Keeps the worker's report fresh."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        budget: Budget,
        heartbeat: Heartbeat,
        preconditions: Preconditions,
        disk: Disk,
        worker_id: str,
        timings: Timings = PRODUCTION,
    ) -> None:
        super().__init__("reporter", timings.report_seconds)
        self._ttl_seconds = timings.report_ttl_seconds
        self._store = store
        self._settings = settings
        self._budget = budget
        self._heartbeat = heartbeat
        self._preconditions = preconditions
        self._disk = disk
        self._worker_id = worker_id
        self._load = LoadMeter()
        self._limit, self._limit_since = Limit.NOTHING, time.time()

    def stop(self) -> None:
        """Stop, and withdraw the report."""
        super().stop()
        try:
            self._store.workers.forget(self._worker_id)
        except StoreUnavailable:
            log.warning("the report could not be withdrawn; it expires by itself")

    def round(self) -> None:
        """Write the report. Fails where a disk is gone or the process table cannot be read."""
        self._store.workers.report(self.report(), self._ttl_seconds)

    def report(self) -> WorkerReport:
        """The present report, with what limits this worker, and since when."""
        found = self._present()
        limit = limit_of(found)
        if limit is not self._limit:
            self._limit, self._limit_since = limit, found.seen_at
        return replace(found, limit=self._limit, limit_since=self._limit_since)

    def _present(self) -> WorkerReport:
        jobs, load = self._heartbeat.jobs, self._load.read()
        waits = Counter(job.wait_reason for job in jobs)
        return WorkerReport(
            id=self._worker_id,
            host=socket.gethostname(),
            seen_at=time.time(),
            concurrency=self._settings.worker_concurrency,
            running=len(jobs),
            memory_budget_bytes=self._budget.total_bytes,
            memory_reserved_bytes=self._budget.reserved_bytes,
            memory_used_bytes=tools_bytes(),
            disk_free_bytes=self._disk.work_bytes(),
            storage_free_bytes=self._disk.storage_bytes(),
            kinds=self._settings.queues,
            tools=tool_versions(self._settings.data_dir),
            disk_floor_bytes=self._settings.min_free_disk_bytes,
            cpu_percent=load.cpu_percent,
            own_cpu_percent=load.own_cpu_percent,
            io_wait_percent=load.io_wait_percent,
            jobs_waiting_for_memory=waits[WaitReason.MEMORY],
            phases=dict(Counter(job.phase for job in jobs if job.phase is not None)),
            throttled_sites=self._preconditions.throttled_sites,
        )


def tool_versions(data_dir: Path) -> dict[str, str]:
    """The versions of the tools that this worker has."""
    ffmpeg = Path(imageio_ffmpeg.get_ffmpeg_exe()).name
    return {"ffmpeg": ffmpeg.removeprefix("ffmpeg-"), "yt_dlp": present_version(data_dir)}
