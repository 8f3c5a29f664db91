"""What a worker says of itself every few seconds, for /metrics and health."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
from importlib.metadata import version
from pathlib import Path

import imageio_ffmpeg
import psutil

from config.settings import Settings
from tasks.errors import StoreUnavailable
from tasks.store import Store, WorkerReport
from worker.admission import Budget
from worker.watch import Heartbeat

log = logging.getLogger(__name__)

PERIOD_SECONDS = 5.0


class Reporter:
    """One thread that keeps the worker's report fresh."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        budget: Budget,
        heartbeat: Heartbeat,
        worker_id: str,
    ) -> None:
        self._store = store
        self._settings = settings
        self._budget = budget
        self._heartbeat = heartbeat
        self._worker_id = worker_id
        self._tools = tool_versions()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._report, name="reporter", daemon=True)

    def start(self) -> None:
        """Report now, and then every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye."""
        self._stopping.set()
        self._thread.join(timeout=10)
        try:
            self._store.forget_worker(self._worker_id)
        except StoreUnavailable:
            log.warning("the good-bye could not be said; the report expires by itself")

    def _report(self) -> None:
        while True:
            try:
                self._store.report_worker(self.report())
            except StoreUnavailable as error:
                log.warning("the report could not be written: %s", error.message)
            except Exception:
                # A disk that is gone, a process table that cannot be read: the next try may work.
                log.exception("no report could be made")
            if self._stopping.wait(PERIOD_SECONDS):
                return

    def report(self) -> WorkerReport:
        """How this worker does now."""
        return WorkerReport(
            id=self._worker_id,
            host=socket.gethostname(),
            seen_at=time.time(),
            concurrency=self._settings.worker_concurrency,
            running=self._heartbeat.running,
            memory_budget_bytes=self._budget.total_bytes,
            memory_reserved_bytes=self._budget.reserved_bytes,
            memory_used_bytes=_children_bytes(),
            disk_free_bytes=shutil.disk_usage(self._settings.data_dir).free,
            kinds=self._settings.queues,
            tools=self._tools,
        )


def tool_versions() -> dict[str, str]:
    """The tools this worker has."""
    ffmpeg = Path(imageio_ffmpeg.get_ffmpeg_exe()).name
    return {"ffmpeg": ffmpeg.removeprefix("ffmpeg-"), "yt_dlp": version("yt-dlp")}


def _children_bytes() -> int:
    """Memory of everything below this process, guards included."""
    total = 0
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between the two looks
    return total
