"""Keeping what is held: heartbeats for every lease of this worker, and word of cancels."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tasks.job import Job
from tasks.store import (
    LEASE_SECONDS,
    CancelRequested,
    Extras,
    Lease,
    LeaseLost,
    Patience,
    Store,
)
from worker.periodic import Rounds
from worker.process.limits import End, Stop

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
# How long finished work waits for a store that is away, before it is given up.
PATIENCE_SECONDS = 45.0
NOTHING_ELSE = Extras()


class Held:
    """A job in our hands. Its record changes only through here while the lease lasts."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._lock = threading.Lock()
        self._pending: tuple[float, float | None, float | None] | None = None
        self._released = False
        self.stop = Stop()
        self.counters: Counter[str] = Counter()  # written with the release, however it ends
        self._patience = Patience(PATIENCE_SECONDS, lambda: self.stop.reason is not None)

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
            self._lease = self._store.hold(
                self._lease, change(self._lease.job), LEASE_SECONDS, self._patience
            )

    def release(self, job: Job, extras: Extras = NOTHING_ELSE) -> str:
        """Write the last change under this lease; a short outage of the store is waited for.

        Raises LeaseLost, CancelRequested or StoreUnavailable: then nobody knows yet whether it
        was written.
        """
        extras = replace(extras, counters=extras.counters + self.counters)
        with self._lock:
            place = self._store.release(self._lease, job, extras, patience=self._patience)
            self._released = True
            self._lease = Lease(job, self._lease.token)
            return place

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
            self._lease = self._store.hold(self._lease, job, LEASE_SECONDS)
        finally:
            self._lock.release()


class Heartbeat(Rounds):
    """Renews every lease of a worker in one round trip a second."""

    def __init__(self, store: Store) -> None:
        super().__init__("heartbeat", HEARTBEAT_SECONDS)
        self._store = store
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._stop_reason: End | None = None
        self.last_success = time.monotonic()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[Held]:
        """Keep a lease alive inside the block."""
        held = Held(self._store, lease)
        with self._lock:
            self._held.add(held)
            if self._stop_reason is not None:
                held.stop.request(self._stop_reason)
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    @property
    def running(self) -> int:
        """How many jobs are in our hands."""
        return len(self._held)

    @property
    def jobs(self) -> list[Job]:
        """Their records as we last wrote them."""
        with self._lock:
            return [held.job for held in self._held]

    def stop_all(self, reason: End) -> None:
        """Ask every job in our hands to end, and those that should still come into them."""
        with self._lock:
            self._stop_reason = reason
            for held in self._held:
                held.stop.request(reason)

    def round(self) -> None:
        """Renew all leases once and write the progress that was noted.

        When the store is away: leases last longer than a short outage, then the token decides.
        """
        with self._lock:
            held = list(self._held)
        if not held:
            self._store.ping()  # so that an idle worker, too, knows whether it is connected
        leases = [item.lease for item in held]
        for item, answer in zip(held, self._store.renew(leases), strict=True):
            if answer == "held":
                self._write_progress(item)
            else:
                item.stop.request(End.CANCELLED if answer == "cancel" else End.LOST)
        self.last_success = time.monotonic()

    def _write_progress(self, held: Held) -> None:
        try:
            held.write_progress()
        except CancelRequested:
            held.stop.request(End.CANCELLED)
        except LeaseLost:
            held.stop.request(End.LOST)
