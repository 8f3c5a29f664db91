"""The housekeeper: requeues lost jobs, resends lost messages, and releases forgotten dependents.

Every worker has a housekeeper; a lock that expires lets one at a time work. Every change is
conditional on the record, so two housekeepers that should ever work at once do no harm.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from functools import partial

from config.timings import PRODUCTION, Timings
from tasks.dispatch.broker import Broker
from tasks.dispatch.dependents import Dependents
from tasks.errors import (
    CancelRequested,
    Conflict,
    NotFound,
    StoreUnavailable,
    Unreadable,
    WorkerLost,
)
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import KINDS
from tasks.metrics.counters import Tally
from tasks.metrics.observer import JobObserver, UpkeepObserver
from tasks.storage import Storage
from tasks.store import Extras, Store
from worker.engine.cleanup import remove_in_the_end
from worker.engine.periodic import PeriodicThread
from worker.upkeep.retention import Retention

log = logging.getLogger(__name__)

# A message starts the next ready job of its kind, so this number keeps every worker busy.
MOST_MESSAGES = 1000


class Housekeeper(PeriodicThread):
    """Repairs what a lost worker, a crash or a lost message left undone."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        storage: Storage,
        dependents: Dependents,
        retention: Retention,
        worker_id: str,
        timings: Timings = PRODUCTION,
    ) -> None:
        super().__init__("housekeeper", timings.housekeeping_seconds)
        self._timings = timings
        self._store = store
        self._broker = broker
        self._storage = storage
        self._dependents = dependents
        self._retention = retention
        self._worker_id = worker_id
        self._unheard: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._leases_count_from = 0.0
        self._store_ahead: float | None = None  # of our own clock, when we last kept house

    def stop(self) -> None:
        """Stop after the present round, and release the lock, so that a peer takes over at once."""
        super().stop()
        try:
            self._store.server.lock("housekeeper", self._worker_id, 0.001)
        except StoreUnavailable:
            log.warning("the lock could not be released; it expires by itself")

    def round(self) -> None:
        """Keep house, if no other worker does."""
        try:
            if self._store.server.lock(
                "housekeeper", self._worker_id, self._timings.housekeeping_lock_seconds
            ):
                self.keep_house()
        except StoreUnavailable:
            # No worker could renew a lease either: let the living workers renew first.
            self._leases_count_from = time.monotonic() + self._timings.settling_seconds
            raise

    def keep_house(self) -> None:
        """Check everything once. Raises StoreUnavailable."""
        expired = self._store.leases.expired()
        if self._leases_count():  # checked afterwards: the clock may jump before any line of this
            self._each(expired, self._recover)
            self._each(self._store.aside.lost(), self._recover)
        self._each(self._store.leases.due_retries(), self._promote)
        self._each(self._store.dependents.to_release(), self._release)
        self._each(self._store.dependents.unneeded_downloads(), self._stop_unneeded)
        self._look_after_messages()
        self._retention.round()
        self._store.counters.note_housekeeping()

    def _leases_count(self) -> bool:
        """Whether the living workers have had the time to renew their leases.

        False when the store's clock has just run ahead of ours. Our clock is monotonic, and stands
        still while the machine sleeps; meanwhile no worker could renew a lease.
        """
        times = self._timings
        ahead = self._store.server.now() - time.monotonic()
        before, self._store_ahead = self._store_ahead, ahead
        if before is None:
            # A new housekeeper has no earlier reading, but the last one recorded when it ran.
            unkept = self._store.counters.gauges().housekeeper_age_seconds
            jumped = times.housekeeping_lock_seconds + times.settling_seconds < unkept < math.inf
        else:
            jumped = ahead - before > times.settling_seconds
        if jumped:
            log.warning("the store's clock ran ahead: leases count when they could be renewed")
            self._leases_count_from = time.monotonic() + self._timings.settling_seconds
        return time.monotonic() >= self._leases_count_from

    def _each(self, job_ids: Iterable[str], look_after: Callable[[str], None]) -> None:
        """Call `look_after` for each job; an error with one job must not stop the others."""
        for job_id in job_ids:
            try:
                look_after(job_id)
            except StoreUnavailable:
                raise
            except Unreadable as error:
                put = self._store.aside.put(job_id)
                what = "a job was set aside" if put else "a job is left to a newer version"
                log.error("%s: %s", what, error, extra={"values": {"job": job_id}})
            except Exception:
                log.exception("a job could not be repaired", extra={"values": {"job": job_id}})

    def _recover(self, job_id: str) -> None:
        """Requeue or end a job whose lease expired: its worker is lost."""
        try:
            job, revision = self._store.jobs.get_with_revision(job_id)
        except NotFound:
            return
        cancelled = self._store.jobs.cancel_requested(job_id)
        after = _after_lost_worker(job, cancelled, time.time())
        extras = Extras(tally=_tally_of_recovery(job, after), why=WorkerLost.code)
        try:
            self._store.jobs.replace(job, after, revision, lease_expired=True, extras=extras)
        except (Conflict, CancelRequested):
            return  # renewed, ended, recovered or to be cancelled: the next round looks again
        log.warning("a worker was lost", extra={"values": {"job": job_id, "state": after.state}})
        for key in job.publishing:
            remove_in_the_end(
                partial(self._storage.delete, key), self._timings.removal_retry_seconds
            )
        self._go_on(after)

    def _promote(self, job_id: str) -> None:
        """Make a job ready whose retry is due."""
        try:
            job, revision = self._store.jobs.get_with_revision(job_id)
            if job.state is not JobState.QUEUED or job.not_before is None:
                return  # another housekeeper did it while this one hung, and the job may run
            self._store.jobs.replace(job, job.due(), revision)
        except (NotFound, Conflict):
            return
        self._dependents.publish(job)

    def _release(self, job_id: str) -> None:
        """Release the dependents of a job whose worker or API died before it could."""
        try:
            job = self._store.jobs.get(job_id)
        except NotFound:
            self._store.dependents.released(job_id)
            return
        if job.state.final:
            self._dependents.release(job)

    def _stop_unneeded(self, job_id: str) -> None:
        """Cancel a download that no clip needs: the process that ended the last clip died."""
        if self._dependents.stop_if_unneeded(job_id):
            log.warning("no clip needs this download", extra={"values": {"job": job_id}})

    def _look_after_messages(self) -> None:
        """Resend lost messages. A broker that is away must not stop the rest of a round."""
        try:
            for kind in KINDS:
                self._wake_again(kind)
        except StoreUnavailable as error:
            log.warning("messages have to wait: %s", error.message)

    def _wake_again(self, kind: str) -> None:
        """Send messages again when, two rounds running, there were fewer than ready jobs."""
        missing = self._store.leases.ready_count(kind) - self._broker.waiting(kind)
        previous, self._unheard[kind] = self._unheard[kind], max(0, missing)
        again = min(previous, missing, MOST_MESSAGES)
        if again > 0:
            log.warning("messages were lost", extra={"values": {"kind": kind, "count": again}})
            self._broker.publish((kind, "") for _ in range(again))
            observer = UpkeepObserver()
            observer.messages_lost(again)
            self._store.counters.add(observer.tally)
            self._unheard[kind] = 0

    def _go_on(self, job: Job) -> None:
        if job.state.final:
            self._dependents.release(job)
        else:
            self._dependents.publish(job)


def _tally_of_recovery(job: Job, after: Job) -> Tally:
    observer = JobObserver(job.kind)
    observer.recovered()
    if job.state is JobState.RUNNING and after.state is JobState.QUEUED:
        observer.attempt_failed(WorkerLost.code)
    return observer.tally


def _after_lost_worker(job: Job, cancelled: bool, now: float) -> Job:
    if job.state is JobState.QUEUED:  # leased, not claimed: no work was done yet
        reason = job.wait_reason if job.wait_reason is WaitReason.DEPENDENCY else None
        return job.waiting_for(reason)
    if cancelled:
        return job.cancelled(now)
    if job.attempt >= job.max_attempts:
        error = WorkerLost("the worker was lost in each attempt", {"attempts": job.attempt})
        return job.failed(now, Failure.of(error))
    return job.requeued(now)
