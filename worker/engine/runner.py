"""One job, from the message to its final state. Read `run_next` from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from config.logs import log_context
from config.timings import PRODUCTION, Timings
from tasks.errors import MemoryExceeded, StoreUnavailable
from tasks.job import Job
from tasks.store import Store
from tasks.tracing.context import NO_TRACING, Note, Tracing
from worker.attempt.attempt import Attempt
from worker.attempt.lease import LeasedJob
from worker.attempt.outcome import Outcome
from worker.attempt.usage import Usage
from worker.engine.admission import Admission
from worker.engine.attempts import AttemptFactory
from worker.engine.budget import Reservation
from worker.engine.ending import Ending, Recorded, ending_of
from worker.engine.heartbeat import Heartbeat
from worker.engine.preconditions import Preconditions
from worker.engine.publishing import Publisher
from worker.engine.recorder import Recorder
from worker.engine.workspace import WorkFolder
from worker.kinds import HANDLERS
from worker.kinds.handler import Handler
from worker.memory.need import ResourceNeed

log = logging.getLogger(__name__)

# How many times as much memory an attempt gets after one that was stopped for using too much.
MORE_MEMORY = 3


class Runner:
    """Runs jobs, one in each calling thread."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        publisher: Publisher,
        admission: Admission,
        preconditions: Preconditions,
        heartbeat: Heartbeat,
        attempts: AttemptFactory,
        work_folder: WorkFolder,
        tracing: Tracing = NO_TRACING,
        timings: Timings = PRODUCTION,
        handlers: Mapping[str, Handler[Any]] = HANDLERS,
    ) -> None:
        self._store = store
        self._timings = timings
        self._handlers = handlers
        self._recorder = recorder
        self._publisher = publisher
        self._admission = admission
        self._budget = admission.budget
        self._preconditions = preconditions
        self._heartbeat = heartbeat
        self._attempts = attempts
        self._work_folder = work_folder
        self._tracing = tracing

    def run_next(self, kind: str) -> bool:
        """Run the next ready job of a kind to its end; False when there is none.

        Raises StoreUnavailable alone: the job then keeps its lease, and the housekeeper requeues it
        when the lease has expired.
        """
        lease = self._store.leases.take(kind, self._timings.lease_seconds)
        if lease is None:
            return False
        with log_context(job=lease.job.id, kind=kind), self._heartbeat.holding(lease) as leased:
            self._recorder.record(leased, self._answer_or_run(leased))
            self._recorder.wake_owner(leased.job)
        return True

    def _answer_or_run(self, leased: LeasedJob) -> Ending:
        """Find an earlier answer, or do the work; every error becomes the ending of the attempt."""
        try:
            if not self._answer_from_storage(leased):
                self._wait_and_run(leased)
            return Recorded()
        except StoreUnavailable:
            raise
        except BaseException as error:
            return ending_of(error, leased.job, self._timings)

    def _wait_and_run(self, leased: LeasedJob) -> None:
        """Wait for disk, site and memory, then run."""
        need = self._attempts.need_of(leased.job)
        self._admission.leave_to_larger(leased.job, need)
        with (
            self._preconditions.met(leased) as still_met,
            self._admission.room_for(leased, need) as reservation,
        ):
            still_met()
            self._attempt(leased, need, reservation)

    def _attempt(self, leased: LeasedJob, need: ResourceNeed, reservation: Reservation) -> None:
        """Claim, run, publish, record: the one place where a job succeeds."""
        # Before the claim, so that a disk that cannot be written costs no attempt.
        with self._work_folder.workspace(leased.job.id, leased.lease.token) as folder:
            leased.change(lambda job: job.started(time.time()))
            with log_context(attempt=leased.job.attempt), self._span(leased.job):
                log.info("started")
                exchange = partial(self._admission.exchange, leased, reservation)
                attempt = self._attempts.attempt(leased, folder, need, exchange)
                outcome = self._outcome(leased, attempt, reservation)
                self._succeed(leased, outcome, attempt.account())

    def _outcome(self, leased: LeasedJob, attempt: Attempt, reservation: Reservation) -> Outcome:
        """The outcome of the work. After a stop for memory, the next attempt gets more."""
        try:
            return self._handlers[leased.job.kind].run(leased.job.spec, attempt)
        except MemoryExceeded as error:
            usage = attempt.account(stopped=True)
            needs = {"need_bytes": reservation.need_bytes, "peak_bytes": usage.peak_bytes}
            error.detail |= {**needs, "budget_bytes": self._budget.total_bytes}
            floor = self._next_need_bytes(leased.job, reservation.need_bytes)
            leased.change(lambda job: job.needing(floor))
            raise

    def _next_need_bytes(self, job: Job, need_bytes: int) -> int:
        """Several times as much; at last all, so that a job that fits alone succeeds."""
        if job.attempt + 1 >= job.max_attempts:
            return self._budget.total_bytes
        return min(MORE_MEMORY * need_bytes, self._budget.total_bytes)

    def _span(self, job: Job) -> AbstractContextManager[Note]:
        names = {"clipmill.job.id": job.id, "clipmill.job.kind": job.kind}
        attempt = {"clipmill.job.attempt": job.attempt}
        return self._tracing.span(f"job {job.kind}", {**names, **attempt}, parent=job.trace)

    def _succeed(self, leased: LeasedJob, outcome: Outcome, usage: Usage) -> None:
        with self._publisher.published(leased, outcome) as artifacts:
            job = leased.job.succeeded(time.time(), usage.recorded_in(artifacts.result))
            leased.release(job, artifacts.extras())
        self._recorder.release_dependents(job)
        self._preconditions.succeeded(job)

    def _answer_from_storage(self, leased: LeasedJob) -> bool:
        """End the job with the artifacts of an equal job, if they are still there."""
        answer = self._publisher.answer_for(leased.job)
        if answer is None:
            return False
        leased.change(lambda job: job.started(time.time()))
        job = leased.job.succeeded(time.time(), answer.result)
        leased.release(job, answer.extras())
        self._recorder.release_dependents(job)
        return True
