"""The composition root: builds a worker of its parts, for the process and for tests."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.machine import cpu_count
from config.settings import Settings
from config.timings import PRODUCTION, Timings
from tasks.dispatch.broker import Broker
from tasks.dispatch.dependents import Dependents
from tasks.dispatch.planning import Planner
from tasks.storage import Storage, open_storage
from tasks.store import Store
from tasks.store.durability import check_durability
from tasks.tracing.context import Tracing
from tasks.tracing.start import make_tracing
from worker.attempt.machine import Machine
from worker.celery_app import LoopTicker
from worker.egress.client import Egress, own_addresses
from worker.egress.policy import Policy
from worker.engine.admission import Admission
from worker.engine.attempts import AttemptFactory
from worker.engine.budget import Budget
from worker.engine.disk import Disk
from worker.engine.heartbeat import Heartbeat
from worker.engine.peers import Peers
from worker.engine.periodic import PeriodicThread
from worker.engine.preconditions import Preconditions
from worker.engine.publishing import Publisher
from worker.engine.recorder import Recorder
from worker.engine.runner import Runner
from worker.engine.workspace import WorkFolder
from worker.kinds import HANDLERS
from worker.kinds.handler import Handler
from worker.memory.peaks import Peaks
from worker.memory.table import table_for
from worker.upkeep.housekeeper import Housekeeper
from worker.upkeep.reporter import Reporter
from worker.upkeep.retention import Retention
from worker.upkeep.startup import clean_work_folder, find_clean_groups
from worker.upkeep.watchdog import Watchdog, servers_answer
from worker.webhooks.sender import Sender


@dataclass(frozen=True)
class Services:
    """The services that the parts of a worker share."""

    settings: Settings
    timings: Timings
    worker_id: str
    store: Store
    storage: Storage
    broker: Broker
    dependents: Dependents
    tracing: Tracing
    work_folder: WorkFolder
    egress: Egress


@dataclass(frozen=True)
class Worker:
    """All parts of a worker."""

    services: Services
    budget: Budget
    disk: Disk
    heartbeat: Heartbeat
    runner: Runner
    retention: Retention
    housekeeper: Housekeeper
    reporter: Reporter
    watchdog: Watchdog
    sender: Sender
    pulse: LoopTicker
    draining: threading.Event

    @property
    def _threads(self) -> Sequence[PeriodicThread]:
        return (
            self.heartbeat,
            self.housekeeper,
            self.reporter,
            self.disk,
            self.watchdog,
            self.sender,
        )

    def start(self) -> None:
        """Start the threads beside the jobs."""
        for part in self._threads:
            part.start()

    def stop(self) -> None:
        """Stop the threads, in the opposite order."""
        for part in reversed(self._threads):
            part.stop()
        self.services.egress.close()
        self.services.tracing.close()
        self.services.work_folder.close()


def build(
    settings: Settings,
    broker: Broker,
    *,
    timings: Timings = PRODUCTION,
    storage: Storage | None = None,
    attempt_factory: Callable[[Machine], AttemptFactory] = AttemptFactory,
    handlers: Mapping[str, Handler[Any]] = HANDLERS,
    heartbeat: Callable[[Store, Timings], Heartbeat] = Heartbeat,
    disk: Callable[[WorkFolder, Storage, int, Timings], Disk] = Disk.under,
) -> Worker:
    """A worker that is ready to be started. Raises UnsafeStore, BadTable.

    `attempt_factory`, `heartbeat` and `disk` make these parts, with the arguments of their own
    class; `handlers` do the work of each kind.
    """
    storage = storage or open_storage(settings.storage_url)
    services = _services(settings, broker, timings, storage)
    store, budget = services.store, Budget(settings.memory_budget_bytes, cpu_count())
    beating, pulse, draining = heartbeat(store, timings), LoopTicker(), threading.Event()
    watched = disk(services.work_folder, services.storage, settings.min_free_disk_bytes, timings)
    preconditions = Preconditions(store, watched, timings)
    retention = _retention(services)
    return Worker(
        services,
        budget,
        watched,
        beating,
        _runner(services, budget, preconditions, beating, attempt_factory, handlers),
        retention,
        _housekeeper(services, retention),
        Reporter(
            store, settings, budget, beating, preconditions, watched, services.worker_id, timings
        ),
        _watchdog(services, beating, pulse, draining),
        Sender(store, Policy(settings.allowed_networks, own_addresses()), timings),
        pulse,
        draining,
    )


def _services(settings: Settings, broker: Broker, timings: Timings, storage: Storage) -> Services:
    assert settings.redis_url is not None  # `main` checks it at its start
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    work_folder = clean_work_folder(settings.data_dir / "work", worker_id, timings)
    store = Store.at(settings.redis_url, settings.store_memory_bytes)
    check_durability(store.server, settings.redis_policy)
    return Services(
        settings,
        timings,
        worker_id,
        store,
        storage,
        broker,
        Dependents(store, broker, Planner(store, settings.reuse_downloads_seconds)),
        make_tracing(settings.otlp_endpoint, "clipmill-worker"),
        work_folder,
        Egress(settings.allowed_networks, work_folder.path),
    )


def _runner(
    services: Services,
    budget: Budget,
    preconditions: Preconditions,
    heartbeat: Heartbeat,
    attempt_factory: Callable[[Machine], AttemptFactory],
    handlers: Mapping[str, Handler[Any]],
) -> Runner:
    settings, store, storage = services.settings, services.store, services.storage
    timings, work_folder = services.timings, services.work_folder
    machine = Machine(
        settings,
        store,
        storage,
        lambda: heartbeat.running,
        services.tracing,
        Peaks(store.peaks),
        table_for(settings.data_dir),
        find_clean_groups(work_folder.path),
        services.egress,
    )
    return Runner(
        store,
        Recorder(store, services.dependents, preconditions, timings),
        Publisher(store, storage, settings.reuse_downloads_seconds, timings),
        Admission(budget, Peers(store.workers, services.worker_id), timings),
        preconditions,
        heartbeat,
        attempt_factory(machine),
        work_folder,
        services.tracing,
        timings,
        handlers,
    )


def _retention(services: Services) -> Retention:
    settings = services.settings
    return Retention(
        services.store,
        services.storage,
        ttl_seconds=settings.artifact_ttl_seconds,
        limit_bytes=settings.storage_limit_bytes,
        job_ttl_seconds=settings.job_ttl_seconds,
        timings=services.timings,
    )


def _housekeeper(services: Services, retention: Retention) -> Housekeeper:
    return Housekeeper(
        services.store,
        services.broker,
        services.storage,
        services.dependents,
        retention,
        services.worker_id,
        services.timings,
    )


def _watchdog(
    services: Services, heartbeat: Heartbeat, pulse: LoopTicker, draining: threading.Event
) -> Watchdog:
    return Watchdog(
        {
            "heartbeat": lambda: heartbeat.last_success,
            # A drain stops the consumer, and may take as long as its grace.
            "consumer": lambda: time.monotonic() if draining.is_set() else pulse.beats,
        },
        lambda: servers_answer(services.settings.redis_url, services.broker),
        timings=services.timings,
    )
