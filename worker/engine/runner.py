"""One job, from the message to its final state. Read `run_next` from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from config.logs import log_context
from config.timings import PRODUCTION, Timings
from tasks.dispatch.dependents import Dependents
from tasks.errors import JobError, MemoryExceeded, SourceFailed, StoreUnavailable
from tasks.job import Failure, Job, JobState
from tasks.store import ArtifactGone, CancelRequested, Extras, LeaseLost, Store
from tasks.tracing.context import NO_TRACING, Note, Tracing
from worker.engine.admission import Admission
from worker.engine.attempt import JobMachine, Toolbox
from worker.engine.budget import NoRoomYet, Reservation
from worker.engine.lease import Heartbeat, LeasedJob
from worker.engine.lost_source import source_again
from worker.engine.preconditions import Postpone, Preconditions
from worker.engine.publishing import Publisher
from worker.engine.retry import delay_before_retry
from worker.engine.unexpected import as_job_error
from worker.engine.usage import Usage
from worker.engine.workspace import WorkFolder
from worker.kinds import run_kind
from worker.kinds.interface import Outcome
from worker.memory.need import ResourceNeed
from worker.process.limits import ProcessEnd, Stopped

log = logging.getLogger(__name__)

# How many times as much an attempt may use after one that was stopped for using too much.
MORE_MEMORY = 3


class Runner:
    """Runs jobs, one in each calling thread."""

    def __init__(
        self,
        store: Store,
        dependents: Dependents,
        publisher: Publisher,
        admission: Admission,
        preconditions: Preconditions,
        heartbeat: Heartbeat,
        toolbox: Toolbox,
        work_folder: WorkFolder,
        tracing: Tracing = NO_TRACING,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._store = store
        self._timings = timings
        self._dependents = dependents
        self._publisher = publisher
        self._admission = admission
        self._budget = admission.budget
        self._preconditions = preconditions
        self._heartbeat = heartbeat
        self._toolbox = toolbox
        self._work_folder = work_folder
        self._tracing = tracing

    def run_next(self, kind: str) -> bool:
        """Take the next ready job of a kind and bring it to its end; False when there is none.

        Nothing but StoreUnavailable leaves here: the job then stays with its lease, and is
        found by the housekeeper when that has expired.
        """
        lease = self._store.leases.take(kind, self._timings.lease_seconds)
        if lease is None:
            return False
        with log_context(job=lease.job.id, kind=kind), self._heartbeat.holding(lease) as leased:
            try:
                self._admit(leased)
            except LeaseLost:
                log.warning("the job is in other hands now; nothing was written")
            except CancelRequested:
                self._cancel(leased)
        return True

    def _admit(self, leased: LeasedJob) -> None:
        """Wait for memory, then run; whatever goes wrong becomes the job's own end."""
        try:
            self._answer_or_run(leased)
        except NoRoomYet as full:
            self._give_back(leased, full.times_bypassed)
        except Postpone as postponement:
            self._postpone(leased, postponement)
        except Stopped as stopped:
            self._stopped(leased, stopped.end)
        except (LeaseLost, CancelRequested, StoreUnavailable):
            raise
        except JobError as error:
            self._fail(leased, error)
            self._preconditions.failed(leased.job, error)
        except BaseException as error:
            # Also MemoryError and SystemExit: whatever leaves a task costs the worker a slot.
            self._fail_unexpectedly(leased, error)

    def _answer_or_run(self, leased: LeasedJob) -> None:
        try:
            if self._answer_from_storage(leased):
                return
            need = self._toolbox.need_of(leased.job)
            self._admission.leave_to_larger(leased.job, need)
            with (
                self._preconditions.met(leased) as still_met,
                self._admission.room_for(leased, need) as room,
            ):
                still_met()
                self._attempt(leased, need, room)
        except SourceFailed as error:
            extras = self._publisher.retry_extras(leased.job, error)
            if not source_again(leased, self._store, self._dependents, extras):
                raise

    def _attempt(self, leased: LeasedJob, need: ResourceNeed, room: Reservation) -> None:
        """Claim, run, publish, record: the one place where a job succeeds."""
        # Before the claim, so that a disk which cannot be written costs no attempt.
        with self._work_folder.workspace(leased.job.id, leased.lease.token) as folder:
            leased.change(lambda job: job.started(time.time()))
            with log_context(attempt=leased.job.attempt), self._span(leased.job):
                log.info("started")
                machine = self._toolbox.machine(
                    leased, folder, need, partial(self._admission.exchange, leased, room)
                )
                outcome = self._outcome(leased, machine, room)
                self._succeed(leased, outcome, machine.account())

    def _outcome(self, leased: LeasedJob, machine: JobMachine, room: Reservation) -> Outcome:
        """What the tools made. When they were stopped for memory, the next attempt gets more."""
        try:
            return run_kind(leased.job.spec, machine)
        except MemoryExceeded as error:
            usage = machine.account(stopped=True)
            needs = {"need_bytes": room.need_bytes, "peak_bytes": usage.peak_bytes}
            error.detail |= {**needs, "budget_bytes": self._budget.total_bytes}
            floor = self._next_need_bytes(leased.job, room.need_bytes)
            leased.change(lambda job: job.needing(floor))
            raise

    def _next_need_bytes(self, job: Job, need_bytes: int) -> int:
        """Several times as much; at last all there is, so that what fits alone succeeds."""
        if job.attempt + 1 >= job.max_attempts:
            return self._budget.total_bytes
        return min(MORE_MEMORY * need_bytes, self._budget.total_bytes)

    def _span(self, job: Job) -> AbstractContextManager[Note]:
        names = {"clipmill.job.id": job.id, "clipmill.job.kind": job.kind}
        attempt = {"clipmill.job.attempt": job.attempt}
        return self._tracing.span(f"job {job.kind}", {**names, **attempt}, parent=job.trace)

    def _succeed(self, leased: LeasedJob, outcome: Outcome, usage: Usage) -> None:
        with self._publisher.published(leased, outcome) as artifacts:
            job = leased.job.succeeded(time.time(), usage.told_in(artifacts.result))
            leased.release(job, artifacts.extras())
        self._settle(job)
        self._preconditions.succeeded(job)

    def _answer_from_storage(self, leased: LeasedJob) -> bool:
        """End the job with what an equal one produced before, if that is still there."""
        answer = self._publisher.answer_for(leased.job)
        if answer is None:
            return False
        leased.change(lambda job: job.started(time.time()))
        job = leased.job.succeeded(time.time(), answer.result)
        try:
            leased.release(job, answer.extras())
        except ArtifactGone:
            self._give_back(leased)  # removed this moment: the next worker does the work
        else:
            self._settle(job)
        return True

    def _fail(self, leased: LeasedJob, error: JobError) -> None:
        """Try again later if that can help, else end the job."""
        job = leased.job
        if job.state is JobState.QUEUED and error.retryable:
            # Nothing was tried yet, so nothing is counted: what is away now is waited for.
            self._postpone(leased, Postpone(self._timings.disk_pause_seconds, error.code))
            return
        delay = delay_before_retry(error, job.attempt, job.max_attempts, self._timings)
        if delay is None:
            self._end(leased, lambda job, now: job.failed(now, Failure.of(error)))
            return
        now = time.time()
        log.info("will be tried again", extra={"values": {"code": error.code, "delay": delay}})
        leased.release(
            job.requeued(now, not_before=self._store.server.now() + delay),
            self._publisher.retry_extras(job, error),
        )

    def _fail_unexpectedly(self, leased: LeasedJob, error: BaseException) -> None:
        failure = as_job_error(error)
        if not leased.job.state.final:  # else it came after the end, and the housekeeper settles
            self._fail(leased, failure)

    def _cancel(self, leased: LeasedJob) -> None:
        try:
            self._end(leased, lambda job, now: job.cancelled(now))
        except LeaseLost:
            log.warning("whoever has the job now will cancel it")

    def _stopped(self, leased: LeasedJob, end: ProcessEnd) -> None:
        if end is ProcessEnd.CANCELLED:
            raise CancelRequested
        if end is ProcessEnd.SHUTDOWN and not leased.job.state.final:
            self._give_back(leased)
        elif end is ProcessEnd.LOST:
            raise LeaseLost("the lease ran out")

    def _postpone(self, leased: LeasedJob, postponement: Postpone) -> None:
        """It may not start yet; it waits where no worker's place is taken."""
        later = leased.job.postponed(
            self._store.server.now() + postponement.seconds, postponement.reason
        )
        leased.release(later, Extras(why=postponement.why))
        log.info(
            "postponed",
            extra={"values": {"why": postponement.why, "seconds": postponement.seconds}},
        )

    def _give_back(self, leased: LeasedJob, times_bypassed: int = 0) -> None:
        """Let another worker have the job; an attempt that we cut short does not count."""
        now, job = time.time(), leased.job
        back = (
            job.requeued(now, give_attempt_back=True)
            if job.attempt and job.started_at is not None
            else job.waiting_for(None)
        )
        back = back.passed(times_bypassed)
        leased.release(back, Extras(why="given back"))
        self._dependents.publish(back)
        log.info("given back")

    def _end(self, leased: LeasedJob, end: Callable[[Job, float], Job]) -> None:
        job = end(leased.job, time.time())
        leased.release(job)
        self._settle(job)

    def _settle(self, job: Job) -> None:
        values = {"state": job.state, "code": job.error.code if job.error else None}
        log.info("ended", extra={"values": values})
        self._dependents.settle(job)
