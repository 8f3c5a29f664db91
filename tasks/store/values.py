"""The values that the store returns: snapshots, leases, pages, gauges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tasks.job import Job, JobState
from tasks.store.packing import unpacked


@dataclass(frozen=True)
class Snapshot:
    """A job's public JSON as it is stored. `revision` grows with every change."""

    id: str
    body: bytes
    revision: int
    state: JobState

    @classmethod
    def of(cls, job_id: str, doc: bytes, revision: bytes, state: bytes) -> Self:
        """The snapshot from the fields of a job's hash."""
        return cls(job_id, unpacked(doc), int(revision), JobState(state.decode()))


@dataclass(frozen=True)
class Lease:
    """The right to change a job until the lease ends; all writes are conditional on the token."""

    job: Job
    token: str


@dataclass(frozen=True)
class JobQuery:
    """Which jobs to list. The page begins after the id `cursor`."""

    state: str | None = None
    kind: str | None = None
    batch_id: str | None = None
    external_id: str | None = None
    error_code: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True)
class Page:
    """Jobs, newest first; `next_cursor` is None on the last page."""

    items: list[Snapshot]
    next_cursor: str | None


@dataclass(frozen=True)
class FailureGroup:
    """Failed jobs of one kind and code: how many, the newest job, and its error message."""

    kind: str
    code: str
    count: int
    newest_id: str
    message: str


@dataclass(frozen=True)
class Gauges:
    """The present state of the queue, by kind, and of storage."""

    queue_depth: dict[str, int]
    queue_oldest_seconds: dict[str, float]
    jobs_running: dict[str, int]
    artifact_bytes: int
    jobs_set_aside: int
    housekeeper_age_seconds: float  # since the last round; infinite before the first
