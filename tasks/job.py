"""A job's record: its state, the legal moves between states, and what each move changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import Any, Self

from tasks.errors import JobError
from tasks.result import Result
from tasks.specs import Spec
from tasks.webhook import Webhook


class JobState(StrEnum):
    """The states of a job."""

    QUEUED = "queued"  # recorded and waiting; `wait_reason` says for what
    RUNNING = "running"  # a worker holds the lease and has claimed the job
    SUCCEEDED = "succeeded"  # the artifact is published
    FAILED = "failed"  # will not be retried by itself; `error` says why
    CANCELLED = "cancelled"  # by a client; or no clip needs the download any more

    @property
    def final(self) -> bool:
        """Whether only the client's `retry` can move the job on."""
        return self in FINAL


FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

# The one table of legal moves. The README draws it and names the cause of each move.
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: FINAL | {JobState.QUEUED},
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}


class WaitReason(StrEnum):
    """What a queued job waits for."""

    DEPENDENCY = "dependency"  # the download that delivers its source
    MEMORY = "memory"  # free memory in the worker's budget
    CONCURRENCY = "concurrency"  # a free slot of a worker
    RETRY = "retry"  # the back-off after a failure
    DISK = "disk"  # free space on a worker's disk, or the storage of artifacts
    SITE = "site"  # the end of the pause that a site asked for


class IllegalMove(Exception):
    """A move that TRANSITIONS does not have."""


@dataclass(frozen=True)
class Failure:
    """Why a job failed, as the client sees it."""

    code: str
    message: str
    retryable: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: JobError) -> Self:
        """The failure that a job error describes."""
        return cls(error.code, error.message, error.retryable, error.detail)


@dataclass(frozen=True)
class Job:
    """One spec, run once to one final state. Times are seconds since 1970, UTC."""

    id: str
    spec: Spec
    owner: str
    created_at: float
    queued_at: float  # when the job last entered the queue
    state: JobState = JobState.QUEUED
    phase: str | None = None
    wait_reason: WaitReason | None = None
    progress: float = 0.0
    speed: float | None = None
    eta_seconds: float | None = None
    priority: int = 5
    attempt: int = 0
    max_attempts: int = 3
    batch_id: str | None = None
    depends_on: tuple[str, ...] = ()  # jobs that deliver its sources
    fairness_group: str | None = None  # for a job of no batch: the batch it takes turns with
    internal: bool = False  # made for a clip, not asked for by a client
    fingerprint: str | None = None  # equal for jobs that would do the same work
    external_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None  # told of the end; beside the owner's registered endpoints
    trace: str | None = None  # the parent of its spans (traceparent); None without tracing
    not_before: float | None = None
    memory_floor_bytes: int = 0  # the least that the next attempt reserves; learned from the last
    times_bypassed: int = 0  # how many other jobs were admitted while it waited for memory
    publishing: list[str] = field(default_factory=list)  # storage keys an attempt may have written
    started_at: float | None = None
    finished_at: float | None = None
    result: Result | None = None
    error: Failure | None = None
    unknown: dict[str, Any] = field(default_factory=dict)  # what a newer version wrote: kept

    @property
    def kind(self) -> str:
        """What the job does: a name of `tasks.kinds.KINDS`."""
        return self.spec.kind

    def _moved(self, state: JobState, **changes: Any) -> Job:
        if state not in TRANSITIONS[self.state]:
            raise IllegalMove(f"{self.state} -> {state}")
        return replace(self, state=state, **changes)

    def started(self, now: float) -> Job:
        """A worker claimed the job: this is where an attempt is counted."""
        return self._moved(
            JobState.RUNNING, attempt=self.attempt + 1, started_at=now, times_bypassed=0,
            **_AT_REST, progress=0.0,
        )  # fmt: skip

    def entered(self, phase: str, publishing: Sequence[str] = ()) -> Job:
        """The attempt has begun a phase.

        `publishing` names the files that the attempt is about to store: if its worker is lost,
        they are removed.
        """
        return replace(self, phase=phase, publishing=list(publishing), speed=None, eta_seconds=None)

    def progressed(
        self, progress: float, speed: float | None = None, eta_seconds: float | None = None
    ) -> Job:
        """The attempt has come this far; never backwards. A value that is no number is left out."""
        known = progress if isfinite(progress) else 0.0
        bounded = min(max(known, self.progress), 1.0)
        return replace(
            self, progress=bounded, speed=_finite(speed), eta_seconds=_finite(eta_seconds)
        )

    def succeeded(self, now: float, result: Result) -> Job:
        """The artifacts of the job are published."""
        return self._moved(
            JobState.SUCCEEDED, finished_at=now, result=result, **_AT_REST, progress=1.0
        )

    def failed(self, now: float, failure: Failure) -> Job:
        """The job failed and will not be retried by itself."""
        return self._moved(JobState.FAILED, finished_at=now, error=failure, **_AT_REST)

    def cancelled(self, now: float) -> Job:
        """A client cancelled the job, or no clip needs the download any more."""
        return self._moved(JobState.CANCELLED, finished_at=now, **_AT_REST)

    def requeued(
        self, now: float, *, not_before: float | None = None, give_attempt_back: bool = False
    ) -> Job:
        """The attempt ended and the job did not: a retry, a drain or a lost worker.

        With `give_attempt_back` the attempt is not counted and the job keeps its position in the
        queue: a restart is no fault of the job.
        """
        waiting = _AT_REST | {"wait_reason": WaitReason.RETRY if not_before else None}
        attempt = self.attempt - 1 if give_attempt_back else self.attempt
        queued_at = self.queued_at if give_attempt_back else now
        return self._moved(
            JobState.QUEUED, queued_at=queued_at, not_before=not_before, attempt=attempt,
            started_at=None, progress=0.0, **waiting,
        )  # fmt: skip

    def retried(self, now: float) -> Job:
        """The client asked to run a failed or cancelled job again from the beginning."""
        if self.state not in {JobState.FAILED, JobState.CANCELLED}:
            raise IllegalMove(f"{self.state} -> {JobState.QUEUED}")
        return replace(
            self._moved(JobState.QUEUED, queued_at=now, **_AT_REST),
            attempt=0, progress=0.0, not_before=None, started_at=None, finished_at=None,
            memory_floor_bytes=0, times_bypassed=0, result=None, error=None,
        )  # fmt: skip

    def needing(self, memory_bytes: int) -> Job:
        """An attempt needed more memory than was estimated; the next reserves at least this."""
        return replace(self, memory_floor_bytes=memory_bytes)

    def due(self) -> Job:
        """Still queued; the time until which the job was postponed has come."""
        memory = WaitReason.MEMORY  # that time has come does not mean that memory is free
        reason = memory if self.wait_reason is memory else None
        return replace(self, wait_reason=reason, not_before=None)

    def postponed(self, not_before: float, reason: WaitReason = WaitReason.RETRY) -> Job:
        """Still queued; no worker may take the job before that time."""
        return replace(self, wait_reason=reason, not_before=not_before)

    def passed(self, times_bypassed: int) -> Job:
        """Still queued; this many other jobs were admitted while it waited for memory."""
        return replace(self, times_bypassed=times_bypassed)

    def waiting_for(self, reason: WaitReason | None) -> Job:
        """Still queued; the reason why the job waits has changed."""
        return replace(self, wait_reason=reason)

    def depending_on(self, job_ids: Iterable[str], reason: WaitReason | None) -> Job:
        """Still queued; other jobs deliver its sources."""
        return replace(self, depends_on=tuple(job_ids), wait_reason=reason)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


# Fields that mean something only while a worker runs the job.
_AT_REST: dict[str, Any] = {
    "phase": None,
    "wait_reason": None,
    "speed": None,
    "eta_seconds": None,
    "publishing": [],
}
