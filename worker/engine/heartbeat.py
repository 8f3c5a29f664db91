"""The heartbeat of a worker: it renews every lease, and finds out which jobs are cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from config.timings import PRODUCTION, Timings
from tasks.errors import CancelRequested, LeaseLost
from tasks.job import Job, JobState
from tasks.store import Lease, Store
from worker.attempt.lease import LeasedJob
from worker.engine.periodic import PeriodicThread
from worker.process.limits import ProcessEnd


class Heartbeat(PeriodicThread):
    """Renews every lease of a worker in one round trip a second."""

    def __init__(self, store: Store, timings: Timings = PRODUCTION) -> None:
        super().__init__("heartbeat", timings.heartbeat_seconds)
        self._store = store
        self._timings = timings
        self._leased: set[LeasedJob] = set()
        self._lock = threading.Lock()
        self._new_stop_reason: ProcessEnd | None = None  # for jobs that are taken from now on
        self.last_success = time.monotonic()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[LeasedJob]:
        """Keep a lease alive inside the block."""
        leased = LeasedJob(self._store, lease, self._timings)
        with self._lock:
            self._leased.add(leased)
            if self._new_stop_reason is not None:
                leased.stop.request(self._new_stop_reason)
        try:
            yield leased
        finally:
            with self._lock:
                self._leased.discard(leased)

    @property
    def running(self) -> int:
        """How many jobs this worker holds."""
        return len(self._leased)

    @property
    def jobs(self) -> list[Job]:
        """The records of the jobs that this worker holds, as it last wrote them."""
        with self._lock:
            return [leased.job for leased in self._leased]

    def stop_waiting(self, reason: ProcessEnd) -> None:
        """Stop every job that is held and has not begun, and each that is still to be taken."""
        with self._lock:
            self._new_stop_reason = reason
            for leased in self._leased:
                if leased.job.state is JobState.QUEUED:
                    leased.stop.request(reason)

    def stop_all(self, reason: ProcessEnd) -> None:
        """Stop every job that this worker holds, and each that it is still to claim."""
        with self._lock:
            self._new_stop_reason = reason
            for leased in self._leased:
                leased.stop.request(reason)

    def round(self) -> None:
        """Renew all leases once, and write the progress that was reported.

        Leases last longer than a short outage of the store; after a longer one the token decides.
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
