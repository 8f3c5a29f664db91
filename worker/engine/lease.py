"""Keeping what is held: heartbeats for every lease of this worker, and word of cancels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from config.timings import PRODUCTION, Timings
from tasks.errors import CancelRequested, LeaseLost
from tasks.job import Job
from tasks.metrics.counters import Tally
from tasks.metrics.observer import JobObserver
from tasks.store import NO_NEW_SOURCES, Extras, Lease, NewSources, RetryFor, Store
from worker.engine.periodic import PeriodicThread
from worker.process.limits import ProcessEnd, Stop

log = logging.getLogger(__name__)

NOTHING_ELSE = Extras()


class LeasedJob:
    """A job in our hands. Its record changes only through here while the lease lasts."""

    def __init__(self, store: Store, lease: Lease, timings: Timings = PRODUCTION) -> None:
        self._store = store
        self._lease_seconds = timings.lease_seconds
        self._lease = lease
        self._lock = threading.Lock()
        self._pending: tuple[float, float | None, float | None] | None = None
        self._released = False
        self.stop = Stop()
        # What it collects is written with the release, however the attempt ends.
        self.observer = JobObserver(lease.job.kind)
        self._retry_for = RetryFor(
            timings.store_patience_seconds, lambda: self.stop.reason is not None
        )

    @property
    def job(self) -> Job:
        """The record as we last wrote it."""
        return self._lease.job

    @property
    def lease(self) -> Lease:
        """The lease with that record."""
        return self._lease

    def change(self, change: Callable[[Job], Job]) -> None:
        """Write a change and keep the job; a short outage of the store is waited for.

        Raises LeaseLost, CancelRequested or StoreUnavailable.
        """
        with self._lock:
            self._lease = self._store.jobs.hold(
                self._lease, change(self._lease.job), self._lease_seconds, self._retry_for
            )

    def release(
        self,
        job: Job,
        extras: Extras = NOTHING_ELSE,
        sources: NewSources = NO_NEW_SOURCES,
    ) -> list[str]:
        """Write the last change under this lease; a short outage of the store is waited for.

        Raises LeaseLost, CancelRequested or StoreUnavailable: then nobody knows yet whether it
        was written.
        """
        extras = replace(extras, tally=Tally(extras.tally) + self.observer.tally)
        with self._lock:
            stages = self._store.jobs.release(
                self._lease, job, extras, sources=sources, retry_for=self._retry_for
            )
            self._released = True
            self._lease = Lease(job, self._lease.token)
            return stages

    def progress(
        self, fraction: float, speed: float | None = None, eta_seconds: float | None = None
    ) -> None:
        """Note how far the job is; written with the next heartbeat."""
        self._pending = (fraction, speed, eta_seconds)

    def write_progress(self) -> None:
        """Write what was noted since the last time, if anything was."""
        if not self._lock.acquire(blocking=False):
            return  # the job's own thread writes, perhaps for long, and other leases must not wait
        try:
            pending, self._pending = self._pending, None
            if pending is None or self._released:
                return
            job = self._lease.job.progressed(*pending)
            self._lease = self._store.jobs.hold(self._lease, job, self._lease_seconds)
        finally:
            self._lock.release()


class Heartbeat(PeriodicThread):
    """Renews every lease of a worker in one round trip a second."""

    def __init__(self, store: Store, timings: Timings = PRODUCTION) -> None:
        super().__init__("heartbeat", timings.heartbeat_seconds)
        self._store = store
        self._timings = timings
        self._leased: set[LeasedJob] = set()
        self._lock = threading.Lock()
        self._stop_reason: ProcessEnd | None = None
        self.last_success = time.monotonic()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[LeasedJob]:
        """Keep a lease alive inside the block."""
        leased = LeasedJob(self._store, lease, self._timings)
        with self._lock:
            self._leased.add(leased)
            if self._stop_reason is not None:
                leased.stop.request(self._stop_reason)
        try:
            yield leased
        finally:
            with self._lock:
                self._leased.discard(leased)

    @property
    def running(self) -> int:
        """How many jobs are in our hands."""
        return len(self._leased)

    @property
    def jobs(self) -> list[Job]:
        """Their records as we last wrote them."""
        with self._lock:
            return [leased.job for leased in self._leased]

    def stop_all(self, reason: ProcessEnd) -> None:
        """Ask every job in our hands to end, and those that should still come into them."""
        with self._lock:
            self._stop_reason = reason
            for leased in self._leased:
                leased.stop.request(reason)

    def round(self) -> None:
        """Renew all leases once and write the progress that was noted.

        When the store is away: leases last longer than a short outage, then the token decides.
        """
        with self._lock:
            leased = list(self._leased)
        if not leased:
            self._store.server.ping()  # so that an idle worker, too, knows whether it is connected
        leases = [item.lease for item in leased]
        answers = self._store.leases.renew(leases, self._timings.lease_seconds)
        for item, answer in zip(leased, answers, strict=True):
            if answer == "held":
                self._write_progress(item)
            else:
                item.stop.request(ProcessEnd.CANCELLED if answer == "cancel" else ProcessEnd.LOST)
        self.last_success = time.monotonic()

    def _write_progress(self, leased: LeasedJob) -> None:
        try:
            leased.write_progress()
        except CancelRequested:
            leased.stop.request(ProcessEnd.CANCELLED)
        except LeaseLost:
            leased.stop.request(ProcessEnd.LOST)
