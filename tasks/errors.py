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
│   ├── NotFound · InvalidRequest · NotBuilt · IdempotencyKeyReused · Unreadable
│   ├── JobAlreadyFinal · JobNotRetryable · JobNotFinal
│   ├── ArtifactExpired · TooManyEndpoints · DeliveryOpen · EndpointDisabled
│   └── StoreUnavailable · StoreFull · QueueFull · QuotaExceeded
└── WriteRefused          the store has written nothing: the records are not as expected
    ├── Conflict: SourceGone · LeaseLost
    ├── CancelRequested · ArtifactGone
    └── Replayed

(* is retried with back-off until the job's attempts are used up.)
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

# How the operating system reports that a disk has no space for bytes or names, or that a user's
# quota is used up.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class ClipmillError(Exception):
    """The base of all errors of this project."""


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
    """The media is removed, private or not offered in this country."""

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
    """The job can never fit into the memory budget, so it was not started."""

    code = "exceeds_memory_budget"


class MemoryExceeded(JobError):
    """The job's processes used more memory than they had reserved and were stopped."""

    code = "memory_exceeded"
    retryable = True


class DeadlineExceeded(JobError):
    code = "deadline_exceeded"


class ToolFailed(JobError):
    code = "tool_failed"
    retryable = True


class StorageFull(JobError):
    """A disk has no space left, for bytes or for names."""

    code = "storage_full"
    retryable = True


class StorageUnavailable(JobError):
    """A disk or a storage cannot be used now: absent, broken, read-only or without permission."""

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
    """One fault of a request: where it is (a JSON pointer) and what is wrong."""

    pointer: str
    detail: str


class InvalidRequest(RequestError):
    """The request is understood but cannot be accepted; `faults` names the fields.

    `code` is `validation_failed` or, for a URL, the code of the job error that names the reason.
    """

    code = "validation_failed"

    def __init__(
        self, message: str, faults: tuple[Fault, ...] = (), code: str = "validation_failed"
    ) -> None:
        super().__init__(message)
        self.faults = faults
        self.code = code

    def under(self, pointer: str) -> InvalidRequest:
        """The same faults for the whole request, in which `pointer` names the faulty item."""
        faults = tuple(Fault(pointer + fault.pointer, fault.detail) for fault in self.faults)
        return InvalidRequest(self.message, faults, self.code)


def unknown_cursor() -> InvalidRequest:
    """The refusal of a page whose cursor is none of ours."""
    fault = Fault("/cursor", "unknown")
    return InvalidRequest("the cursor is not valid: use `next_cursor` of a page", (fault,))


class NotBuilt(InvalidRequest):
    """The contract has the field, and this version does not do what it asks for."""

    code = "not_implemented"

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message, faults, self.code)


class NotFound(RequestError):
    code = "not_found"


class JobAlreadyFinal(RequestError):
    code = "job_already_final"


class JobNotRetryable(RequestError):
    code = "job_not_retryable"


class JobNotFinal(RequestError):
    code = "job_not_final"


class TooManyEndpoints(RequestError):
    """An owner has registered as many webhooks as it may."""

    code = "too_many_webhooks"


class DeliveryOpen(RequestError):
    """The delivery of a webhook has not ended, so it cannot be sent again by hand."""

    code = "delivery_not_final"


class EndpointDisabled(RequestError):
    """The endpoint of a webhook is disabled or deleted."""

    code = "webhook_disabled"


class ArtifactExpired(RequestError):
    code = "artifact_expired"


class Unreadable(RequestError):
    """A newer version of Clipmill wrote the record, and this one cannot read it."""

    code = "newer_version"


class IdempotencyKeyReused(RequestError):
    code = "idempotency_key_reused"


class QueueFull(RequestError):
    code = "queue_full"


class QuotaExceeded(RequestError):
    """The key has used what it may use in a day."""

    code = "quota_exceeded"

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreUnavailable(RequestError):
    """The record store does not answer."""

    code = "store_unavailable"


class StoreFull(StoreUnavailable):
    """The record store has no room for more jobs."""

    code = "store_full"


class WriteRefused(ClipmillError):
    """The store has written nothing: the records are not as the writer expects."""


class Conflict(WriteRefused):
    """Another writer changed the job first; read the job again."""


class SourceGone(Conflict):
    """The job that should deliver the source was deleted after the planning; plan again."""


class LeaseLost(Conflict):
    """This worker does not hold the job any more, so it may write nothing for the job."""


class CancelRequested(WriteRefused):
    """The client asked to cancel this job; its next state can only be `cancelled`."""


class ArtifactGone(WriteRefused):
    """An artifact that one more job was to refer to has been removed meanwhile."""


class Replayed(WriteRefused):
    """The submission was accepted before; `id` names the job or batch that it made then."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


def job_error_codes() -> dict[str, type[JobError]]:
    """Every job error by its code."""
    return {kind.code: kind for kind in JobError.__subclasses__()}
