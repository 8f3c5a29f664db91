"""How an attempt ended, as one value for each ending; `recorder` writes it to the record."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from config.timings import PRODUCTION, Timings
from tasks.errors import (
    ArtifactGone,
    CancelRequested,
    JobError,
    LeaseLost,
    SourceFailed,
    StorageFull,
    StorageUnavailable,
)
from tasks.job import Job, JobState, WaitReason
from worker.engine.budget import NoRoomYet
from worker.engine.preconditions import Postpone
from worker.engine.retry import delay_before_retry
from worker.engine.unexpected import as_job_error
from worker.process.limits import ProcessEnd, Stopped

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """The record has its last change already; nothing is left to write."""


@dataclass(frozen=True)
class Lost:
    """The lease is lost: nothing may be written."""


@dataclass(frozen=True)
class Cancelled:
    """The client cancelled the job."""


@dataclass(frozen=True)
class Requeued:
    """The job is requeued at once; an attempt that was cut short does not count."""

    times_bypassed: int = 0


@dataclass(frozen=True)
class Postponed:
    """The job may not start yet, and waits in the queue; `why` is for its timeline."""

    seconds: float
    why: str
    reason: WaitReason = WaitReason.RETRY


@dataclass(frozen=True)
class SourceLost:
    """The source of the job was there and is lost; perhaps it can be fetched again."""

    error: SourceFailed


@dataclass(frozen=True)
class Retried:
    """The attempt failed, and the job is retried after `seconds`."""

    error: JobError
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The job failed for good."""

    error: JobError


Ending = (
    Recorded | Lost | Cancelled | Requeued | Postponed | SourceLost | Retried | Failed
)  # fmt: skip


def ending_of(error: BaseException, job: Job, timings: Timings = PRODUCTION) -> Ending:
    """What an error of its attempt means for the job. An unexpected error is logged."""
    match error:
        case NoRoomYet():
            return Requeued(error.times_bypassed)
        case ArtifactGone():
            return Requeued()  # the artifact was removed this moment: the next attempt makes it
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
    # Also MemoryError and SystemExit: an exception that leaves a task costs the worker a slot.
    failure = error if isinstance(error, JobError) else as_job_error(error)
    if job.state.final:  # the housekeeper releases the dependents
        log.warning("the job had ended already", extra={"values": {"code": failure.code}})
        return Recorded()
    return after_failure(failure, job, timings)


def after_failure(error: JobError, job: Job, timings: Timings = PRODUCTION) -> Ending:
    """Whether a failed job is retried, and when."""
    if job.state is JobState.QUEUED and error.retryable:
        # The attempt has not begun, so none is counted: the job waits for what is away now.
        away = isinstance(error, StorageFull | StorageUnavailable)
        reason = WaitReason.DISK if away else WaitReason.RETRY
        return Postponed(timings.disk_pause_seconds, error.code, reason)
    delay = delay_before_retry(error, job.attempt, job.max_attempts, timings)
    return Failed(error) if delay is None else Retried(error, delay)


def _after_stop(end: ProcessEnd, job: Job) -> Ending:
    if end is ProcessEnd.CANCELLED:
        return Cancelled()
    if end is ProcessEnd.LOST:
        return Lost()
    return Recorded() if job.state.final else Requeued()
