"""What an attempt at a job ended in, as one value; `recorder` writes it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from config.timings import PRODUCTION, Timings
from tasks.errors import ArtifactGone, CancelRequested, JobError, LeaseLost, SourceFailed
from tasks.job import Job, JobState, WaitReason
from worker.engine.budget import NoRoomYet
from worker.engine.preconditions import Postpone
from worker.engine.retry import delay_before_retry
from worker.engine.unexpected import as_job_error
from worker.process.limits import ProcessEnd, Stopped

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """The record has its last change already: there is nothing left to write."""


@dataclass(frozen=True)
class Lost:
    """The lease is lost: nothing may be written."""


@dataclass(frozen=True)
class Cancelled:
    """The client asked for it."""


@dataclass(frozen=True)
class GivenBack:
    """Another worker may have the job; an attempt that was cut short does not count."""

    times_bypassed: int = 0


@dataclass(frozen=True)
class Postponed:
    """It may not start yet, and waits in the queue for so long; `why` is for its timeline."""

    seconds: float
    why: str
    reason: WaitReason = WaitReason.RETRY


@dataclass(frozen=True)
class SourceLost:
    """Its source was there and is not any more: perhaps it can be fetched again."""

    error: SourceFailed


@dataclass(frozen=True)
class Retried:
    """It failed, and is tried again after so long."""

    error: JobError
    seconds: float


@dataclass(frozen=True)
class Failed:
    """It failed for good."""

    error: JobError


Ending = (
    Recorded | Lost | Cancelled | GivenBack | Postponed | SourceLost | Retried | Failed
)  # fmt: skip


def ending_of(error: BaseException, job: Job, timings: Timings = PRODUCTION) -> Ending:
    """What it means for the job that its attempt raised this. What nobody expected is logged."""
    match error:
        case NoRoomYet():
            return GivenBack(error.times_bypassed)
        case ArtifactGone():
            return GivenBack()  # removed this moment: the next worker does the work
        case Postpone():
            return Postponed(error.seconds, error.why, error.reason)
        case Stopped():
            return _after_stop(error.end, job)
        case LeaseLost():
            return Lost()
        case CancelRequested():
            return Cancelled()
        case SourceFailed():
            return SourceLost(error)
    # Also MemoryError and SystemExit: whatever leaves a task costs the worker a slot.
    failure = error if isinstance(error, JobError) else as_job_error(error)
    if job.state.final:  # the housekeeper releases those who wait for the job
        log.warning("the job had ended already", extra={"values": {"code": failure.code}})
        return Recorded()
    return after_failure(failure, job, timings)


def after_failure(error: JobError, job: Job, timings: Timings = PRODUCTION) -> Ending:
    """Whether a failed job is tried again, and when."""
    if job.state is JobState.QUEUED and error.retryable:
        # Nothing was tried yet, so nothing is counted: what is away now is waited for.
        return Postponed(timings.disk_pause_seconds, error.code)
    delay = delay_before_retry(error, job.attempt, job.max_attempts, timings)
    return Failed(error) if delay is None else Retried(error, delay)


def _after_stop(end: ProcessEnd, job: Job) -> Ending:
    if end is ProcessEnd.CANCELLED:
        return Cancelled()
    if end is ProcessEnd.LOST:
        return Lost()
    return Recorded() if job.state.final else GivenBack()
