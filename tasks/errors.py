"""Everything that can go wrong, named for what happened.

ClipmillError
├── JobError              a job failed; becomes the job's `error` (a failed job is data)
│   ├── UnsupportedUrl · Unavailable · LoginRequired · BlockedAddress
│   ├── NetworkError* · SiteThrottled*
│   ├── TooLarge · TooLong · NotMedia · CorruptMedia · RangeOutsideMedia · NoSuchStream
│   ├── ExceedsMemoryBudget · MemoryExceeded* · DeadlineExceeded · ToolFailed*
│   ├── StorageFull* · StorageUnavailable*
│   └── SourceFailed · WorkerLost* · InternalError
├── RequestError          a request cannot be granted; becomes a problem document in `web`
│   ├── NotFound · InvalidRequest · IdempotencyKeyReused
│   ├── JobAlreadyFinal · JobNotRetryable · JobNotFinal
│   ├── ArtifactExpired
│   └── StoreUnavailable · QueueFull
└── WriteRefused          the store has written nothing, since things are not as the writer thought
    ├── Conflict: SourceGone · LeaseLost
    ├── CancelRequested · ArtifactGone
    └── Replayed

(* is tried again with back-off until the job's attempts are used up.)
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

# How the operating system says that a disk has no room for bytes or for names, or a user's quota.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class ClipmillError(Exception):
    """Base of every error of our own."""


class JobError(ClipmillError):
    """Why a job did not succeed. `message` and `detail` may be shown to the client."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = dict(detail or {})


class UnsupportedUrl(JobError):
    code = "unsupported_url"


class Unavailable(JobError):
    """Removed, private or not offered here."""

    code = "unavailable"


class LoginRequired(JobError):
    code = "login_required"


class BlockedAddress(JobError):
    code = "blocked_address"


class NetworkError(JobError):
    code = "network_error"
    retryable = True


class SiteThrottled(JobError):
    code = "site_throttled"
    retryable = True


class TooLarge(JobError):
    code = "too_large"


class TooLong(JobError):
    code = "too_long"


class NotMedia(JobError):
    code = "not_media"


class CorruptMedia(JobError):
    code = "corrupt_media"


class RangeOutsideMedia(JobError):
    code = "range_outside_media"


class NoSuchStream(JobError):
    code = "no_such_stream"


class ExceedsMemoryBudget(JobError):
    """The job can never fit the budget, so it was not started."""

    code = "exceeds_memory_budget"


class MemoryExceeded(JobError):
    """The job's processes used more than their share and were stopped."""

    code = "memory_exceeded"
    retryable = True


class DeadlineExceeded(JobError):
    code = "deadline_exceeded"


class ToolFailed(JobError):
    code = "tool_failed"
    retryable = True


class StorageFull(JobError):
    """A disk has no room left, for bytes or for names."""

    code = "storage_full"
    retryable = True


class StorageUnavailable(JobError):
    """A disk or storage does not work now: not there, broken, read-only or closed to us."""

    code = "storage_unavailable"
    retryable = True


class SourceFailed(JobError):
    """The job that should have delivered the source did not succeed."""

    code = "source_failed"


class WorkerLost(JobError):
    code = "worker_lost"
    retryable = True


class InternalError(JobError):
    code = "internal_error"


class RequestError(ClipmillError):
    """A request that cannot be granted. `code` is stable, `message` is for people."""

    code: str = "bad_request"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (a JSON pointer) and what."""

    pointer: str
    detail: str


class InvalidRequest(RequestError):
    """Understood, but it cannot be accepted; `faults` says which fields.

    `code` is `validation_failed` or, for a URL, the job error code that says why.
    """

    code = "validation_failed"

    def __init__(
        self, message: str, faults: tuple[Fault, ...] = (), code: str = "validation_failed"
    ) -> None:
        super().__init__(message)
        self.faults = faults
        self.code = code

    def under(self, pointer: str) -> InvalidRequest:
        """The same fault, seen from outside of the item that `pointer` names."""
        faults = tuple(Fault(pointer + fault.pointer, fault.detail) for fault in self.faults)
        return InvalidRequest(self.message, faults, self.code)


class NotFound(RequestError):
    code = "not_found"


class JobAlreadyFinal(RequestError):
    code = "job_already_final"


class JobNotRetryable(RequestError):
    code = "job_not_retryable"


class JobNotFinal(RequestError):
    code = "job_not_final"


class ArtifactExpired(RequestError):
    code = "artifact_expired"


class IdempotencyKeyReused(RequestError):
    code = "idempotency_key_reused"


class QueueFull(RequestError):
    code = "queue_full"


class StoreUnavailable(RequestError):
    """The record store does not answer."""

    code = "store_unavailable"


class WriteRefused(ClipmillError):
    """The store has written nothing: things are not as the writer thought."""


class Conflict(WriteRefused):
    """Somebody else changed the job first; read it again."""


class SourceGone(Conflict):
    """The job that should deliver the source was deleted after that was planned; plan again."""


class LeaseLost(Conflict):
    """The job is in other hands now; nothing may be written for it."""


class CancelRequested(WriteRefused):
    """The client asked to stop this job; only `cancelled` may follow."""


class ArtifactGone(WriteRefused):
    """A file that was to be shown by one more job has been removed just now."""


class Replayed(WriteRefused):
    """This was accepted before; `id` is that of the job or batch it made then."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


def job_error_codes() -> dict[str, type[JobError]]:
    """Every job error by its code."""
    return {kind.code: kind for kind in JobError.__subclasses__()}
