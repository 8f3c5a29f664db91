"""The worker process: builds everything from the settings, then receives messages.

Start it with `python -m worker.app`. SIGTERM or SIGINT drains it; a second one makes it hurry.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery, signals

from config.logs import configure_logging
from config.machine import cpu_count
from config.settings import Settings, SettingsError, load_settings
from tasks.dispatch.broker import Broker, make_celery
from tasks.dispatch.dependents import Dependents
from tasks.kinds import KINDS
from tasks.storage import Storage
from tasks.store import Store
from tasks.store.durability import UnsafeStore, check_durability
from tasks.tracing.context import Tracing
from tasks.tracing.start import make_tracing
from worker.celery_app import LoopTicker, drain, make_worker, register_task, start_all_threads
from worker.engine.admission import Admission
from worker.engine.attempt import Toolbox
from worker.engine.budget import Budget
from worker.engine.disk import Disk
from worker.engine.lease import Heartbeat
from worker.engine.peers import Peers
from worker.engine.periodic import PeriodicThread
from worker.engine.preconditions import Preconditions
from worker.engine.publishing import Publisher
from worker.engine.runner import Runner
from worker.engine.workspace import WorkFolder
from worker.memory.peaks import Peaks
from worker.memory.table import BadTable, table_for
from worker.process.orphans import become_subreaper
from worker.startup import clean_work_folder, find_clean_groups
from worker.upkeep.housekeeper import Housekeeper
from worker.upkeep.reporter import Reporter
from worker.upkeep.retention import Retention
from worker.upkeep.watchdog import Watchdog, end_at_once, servers_answer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """Everything a worker is made of."""

    settings: Settings
    runner: Runner
    heartbeat: Heartbeat
    housekeeper: Housekeeper
    reporter: Reporter
    work_folder: WorkFolder
    disk: Disk
    tracing: Tracing
    watchdog: Watchdog
    pulse: LoopTicker
    draining: threading.Event

    @property
    def _threads(self) -> Sequence[PeriodicThread]:
        return self.heartbeat, self.housekeeper, self.reporter, self.disk, self.watchdog

    def start(self) -> None:
        """Start the threads beside the jobs."""
        for part in self._threads:
            part.start()

    def stop(self) -> None:
        """Stop them, in the opposite order."""
        for part in reversed(self._threads):
            part.stop()
        self.tracing.close()
        self.work_folder.close()


def build(settings: Settings, celery: Celery) -> Worker:
    """The composition root: who works with whom."""
    assert settings.redis_url is not None  # checked by main
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    work_folder = clean_work_folder(settings.data_dir / "work", worker_id)
    store = Store.at(settings.redis_url)
    check_durability(store.server, settings.redis_policy)
    storage = Storage.at(settings.storage_url)
    broker = Broker(celery)
    dependents = Dependents(store, broker)
    retention = _retention(settings, store, storage)
    budget = Budget(settings.memory_budget_bytes, cpu_count())
    tracing = make_tracing(settings.otlp_endpoint, "clipmill-worker")
    heartbeat, pulse, draining = Heartbeat(store), LoopTicker(), threading.Event()
    disk = Disk.under(work_folder.path, storage, settings.min_free_disk_bytes)
    preconditions = Preconditions(store, disk)
    runner = Runner(
        store,
        dependents,
        Publisher(store, storage, settings.reuse_downloads_seconds),
        Admission(budget, Peers(store, worker_id)),
        preconditions,
        heartbeat,
        _toolbox(settings, store, storage, heartbeat, tracing, work_folder),
        work_folder,
        tracing,
    )
    return Worker(
        settings,
        runner,
        heartbeat,
        Housekeeper(store, broker, storage, dependents, retention, worker_id),
        Reporter(store, settings, budget, heartbeat, preconditions, disk, worker_id),
        work_folder,
        disk,
        tracing,
        _watchdog(settings, broker, heartbeat, pulse, draining),
        pulse,
        draining,
    )


def _toolbox(
    settings: Settings,
    store: Store,
    storage: Storage,
    heartbeat: Heartbeat,
    tracing: Tracing,
    work_folder: WorkFolder,
) -> Toolbox:
    table, groups = table_for(settings.data_dir), find_clean_groups(work_folder.path)
    return Toolbox(
        settings, store, storage, lambda: heartbeat.running, tracing, Peaks(store), table, groups
    )


def _retention(settings: Settings, store: Store, storage: Storage) -> Retention:
    return Retention(
        store,
        storage,
        ttl_seconds=settings.artifact_ttl_seconds,
        limit_bytes=settings.storage_limit_bytes,
        job_ttl_seconds=settings.job_ttl_seconds,
    )


def _watchdog(
    settings: Settings,
    broker: Broker,
    heartbeat: Heartbeat,
    pulse: LoopTicker,
    draining: threading.Event,
) -> Watchdog:
    return Watchdog(
        {
            "heartbeat": lambda: heartbeat.last_success,
            # A drain stops the consumer, and may take as long as its grace.
            "consumer": lambda: time.monotonic() if draining.is_set() else pulse.beats,
        },
        lambda: servers_answer(settings.redis_url, broker),
    )


def main() -> int:
    """Run the worker until it is told to stop; the exit status."""
    try:
        settings = load_settings(kinds=KINDS)
        settings.require_budget()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.redis_url is None or settings.broker_url is None:
        print("CLIPMILL_REDIS_URL is not set; `clipmill up` starts a server", file=sys.stderr)
        return 2
    configure_logging(settings.log_format, settings.log_level)
    become_subreaper()
    celery = make_celery(settings.broker_url)
    try:
        parts = build(settings, celery)
    except (UnsafeStore, BadTable) as error:
        print(error, file=sys.stderr)
        return 2
    parts.pulse.attach(celery)
    register_task(celery, parts.runner.run_next, parts.draining)

    def on_ready(sender: Any, **_: object) -> None:
        # After Celery's own handlers, which would not give running jobs back.
        on_signal = drain(parts.draining, settings.shutdown_grace_seconds, parts.heartbeat.stop_all)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, on_signal)
        try:
            start_all_threads(sender.pool, settings.worker_concurrency)
            parts.start()
        except BaseException:
            # Celery would only log it, and take jobs without heartbeat or housekeeper.
            log.critical("the worker cannot start", exc_info=True)
            end_at_once()
        log.info("worker is ready", extra={"values": {"queues": settings.queues}})

    signals.worker_ready.connect(on_ready, weak=False)
    # Celery would set the root logger to a level of its own, and our lines would be lost.
    signals.setup_logging.connect(lambda **_: None, weak=False)
    worker = make_worker(celery, settings)
    try:
        worker.start()
    finally:
        parts.stop()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
