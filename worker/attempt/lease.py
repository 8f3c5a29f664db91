"""A job under our lease: the only way to change its record while an attempt lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from config.timings import PRODUCTION, Timings
from tasks.job import Job
from tasks.metrics.counters import Tally
from tasks.metrics.observer import JobObserver
from tasks.store import NO_NEW_SOURCES, Extras, Lease, NewSources, RetryFor, Store
from worker.process.limits import Stop

NOTHING_ELSE = Extras()


class LeasedJob:
    """A job under our lease. Its record changes only through this class while the lease lasts."""

    def __init__(self, store: Store, lease: Lease, timings: Timings = PRODUCTION) -> None:
        self._store = store
        self._lease_seconds = timings.lease_seconds
        self._lease = lease
        self._lock = threading.Lock()
        self._pending: tuple[float, float | None, float | None] | None = None
        self._released = False
        self.stop = Stop()
        # Its counts are written with the release, however the attempt ends.
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
        """Write a change and keep the lease; a short outage of the store is waited for.

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

        Raises LeaseLost, CancelRequested or StoreUnavailable; after the last, the change may have
        been written or not.
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
        """Report progress; the next heartbeat writes it."""
        self._pending = (fraction, speed, eta_seconds)

    def write_progress(self) -> None:
        """Write the latest reported progress, if there is any that is not written yet."""
        if not self._lock.acquire(blocking=False):
            return  # the job's own thread is writing, perhaps for long; other leases must not wait
        try:
            pending, self._pending = self._pending, None
            if pending is None or self._released:
                return
            job = self._lease.job.progressed(*pending)
            self._lease = self._store.jobs.hold(self._lease, job, self._lease_seconds)
        finally:
            self._lock.release()
