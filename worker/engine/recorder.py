"""Recording how an attempt ended: the lease is released, and the dependents follow."""

from __future__ import annotations

import logging
import time
from typing import assert_never

from config.timings import PRODUCTION, Timings
from tasks.dispatch.dependents import Dependents
from tasks.errors import CancelRequested, JobError, LeaseLost, StoreUnavailable
from tasks.job import Failure, Job
from tasks.metrics.observer import JobObserver
from tasks.store import Extras, Store
from worker.attempt.lease import LeasedJob
from worker.engine.ending import (
    Cancelled,
    Ending,
    Failed,
    Lost,
    Postponed,
    Recorded,
    Requeued,
    Retried,
    SourceLost,
    after_failure,
    ending_of,
)
from worker.engine.lost_source import source_again
from worker.engine.preconditions import Preconditions

log = logging.getLogger(__name__)


class Recorder:
    """Records the end of each attempt, and releases the lease of its job."""

    def __init__(
        self,
        store: Store,
        dependents: Dependents,
        preconditions: Preconditions,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._store = store
        self._dependents = dependents
        self._preconditions = preconditions
        self._timings = timings

    def record(self, leased: LeasedJob, ending: Ending) -> None:
        """Write how the attempt ended, unless the lease is lost. Raises StoreUnavailable.

        After any other error the housekeeper does what is missing: it requeues the job when the
        lease has expired, or releases the dependents of a final job.
        """
        try:
            self._record(leased, ending)
        except LeaseLost:
            log.warning("the lease is lost; nothing was written")
        except CancelRequested:
            self.record(leased, Cancelled())
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("the end of the attempt was not recorded, or not carried out")

    def _record(self, leased: LeasedJob, ending: Ending) -> None:
        match ending:
            case Recorded():
                pass
            case Lost():
                log.warning("the lease is lost; nothing was written")
            case Cancelled():
                self._end(leased, leased.job.cancelled(time.time()))
            case Requeued():
                self._requeue(leased, ending.times_bypassed)
            case Postponed():
                self._postpone(leased, ending)
            case SourceLost():
                self._record(leased, self._fetch_source_again(leased, ending))
            case Retried():
                self._retry(leased, ending)
                self._preconditions.failed(leased.job, ending.error)
            case Failed():
                failure = Failure.of(ending.error)
                self._end(leased, leased.job.failed(time.time(), failure))
                self._preconditions.failed(leased.job, ending.error)
            case _:
                assert_never(ending)

    def _requeue(self, leased: LeasedJob, times_bypassed: int) -> None:
        job = leased.job
        back = (
            job.requeued(time.time(), give_attempt_back=True)
            if job.attempt and job.started_at is not None
            else job.waiting_for(None)
        )
        back = back.passed(times_bypassed)
        leased.release(back, Extras(why="given back"))
        self._dependents.publish(back)
        log.info("requeued")

    def _postpone(self, leased: LeasedJob, ending: Postponed) -> None:
        """Return the job to the queue, where it takes no worker's slot."""
        not_before = self._store.server.now() + ending.seconds
        leased.release(leased.job.postponed(not_before, ending.reason), Extras(why=ending.why))
        log.info("postponed", extra={"values": {"why": ending.why, "seconds": ending.seconds}})

    def _fetch_source_again(self, leased: LeasedJob, ending: SourceLost) -> Ending:
        """Request the source once more; the loss, or an error of the request, is a failure."""
        extras = _retry_extras(leased.job, ending.error)
        try:
            if source_again(leased, self._store, self._dependents, extras):
                return Recorded()
        except StoreUnavailable:
            raise
        except BaseException as error:
            return ending_of(error, leased.job, self._timings)
        return after_failure(ending.error, leased.job, self._timings)

    def _retry(self, leased: LeasedJob, ending: Retried) -> None:
        values = {"code": ending.error.code, "delay": round(ending.seconds, 1)}
        log.info("will be retried: %s", ending.error.message, extra={"values": values})
        not_before = self._store.server.now() + ending.seconds
        later = leased.job.requeued(time.time(), not_before=not_before)
        leased.release(later, _retry_extras(leased.job, ending.error))

    def _end(self, leased: LeasedJob, job: Job) -> None:
        leased.release(job)
        self.release_dependents(job)

    def wake_owner(self, job: Job) -> None:
        """Send messages for jobs that had to wait because their owner had too many running."""
        self._dependents.wake_kinds(self._store.leases.kinds_that_waited(job.owner))

    def release_dependents(self, job: Job) -> None:
        """Release the dependents of a job that has ended."""
        values = {"state": job.state, "code": job.error.code if job.error else None}
        if job.error is not None:
            log.warning("failed: %s", job.error.message, extra={"values": values})
        else:
            log.info("ended", extra={"values": values})
        self._dependents.release(job)


def _retry_extras(job: Job, error: JobError) -> Extras:
    """The changes that are written with a retry."""
    observer = JobObserver(job.kind)
    observer.attempt_failed(error.code)
    return Extras(tally=observer.tally, why=error.code)
