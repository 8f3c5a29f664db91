"""What the store gives out: snapshots, pages, batches, artifacts, workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from tasks.job import Job, JobState


@dataclass(frozen=True)
class Snapshot:
    """A job's public JSON as it is stored. `revision` grows with every change."""

    id: str
    body: bytes
    revision: int
    state: JobState


@dataclass(frozen=True)
class Lease:
    """The right to change a job until it is lost; every effect is conditional on the token."""

    job: Job
    token: str


@dataclass(frozen=True)
class JobQuery:
    """Which jobs to list. `cursor` is the id of the last one seen."""

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
    """Failed jobs of one kind and code: how many, the newest of them, what it says."""

    kind: str
    code: str
    count: int
    newest_id: str
    message: str


@dataclass(frozen=True)
class Batch:
    """Jobs that were submitted together. Times are seconds since 1970, UTC."""

    id: str
    owner: str
    created_at: float
    finished_at: float | None
    size: int
    counts: dict[str, int]
    progress: float
    revision: int

    @property
    def final(self) -> bool:
        """Whether every job is."""
        return not (self.counts["queued"] or self.counts["running"])

    @property
    def state(self) -> str:
        """running, succeeded, failed, partial or cancelled."""
        if not self.final:
            return "running"
        if self.counts["succeeded"] == self.size:
            return "succeeded"
        if self.counts["succeeded"]:
            return "partial"
        return "failed" if self.counts["failed"] else "cancelled"


@dataclass(frozen=True)
class StoredArtifact:
    """A published file. `storage_key` is its place in storage, `filename` what a client sees."""

    id: str
    job_id: str
    owner: str
    storage_key: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    role: str
    facts: dict[str, Any] | None = None  # MediaFacts, where it is media

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself every few seconds. Sizes in bytes."""

    id: str
    host: str
    seen_at: float
    concurrency: int
    running: int
    memory_budget_bytes: int
    memory_reserved_bytes: int
    memory_used_bytes: int
    disk_free_bytes: int  # where it works
    kinds: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    storage_free_bytes: int | None = None  # where artifacts are; older versions do not say
    disk_floor_bytes: int = 0  # with less free than this on either, it starts nothing
    cpu_percent: float = 0.0  # of all cores, whoever uses them
    own_cpu_percent: float = 0.0  # of all cores, by this worker and its tools
    io_wait_percent: float = 0.0  # of all cores, idle because a disk is slow
    jobs_waiting_for_memory: int = 0  # jobs that the budget has no room for
    phases: dict[str, int] = field(default_factory=dict)  # jobs in each
    throttled_sites: tuple[str, ...] = ()  # lately
    limit: str = "nothing"  # see `tasks.metrics.bottleneck`
    limit_since: float = 0.0

    @property
    def free_bytes_by_disk(self) -> dict[str, int]:
        """Room where it works and where artifacts are, as far as it is told."""
        told = {"work": self.disk_free_bytes, "storage": self.storage_free_bytes}
        return {disk: free for disk, free in told.items() if free is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `asdict` wrote, perhaps in another version of this program."""
        known = {item.name for item in fields(cls)}
        lists = {name: tuple(values.get(name, ())) for name in ("kinds", "throttled_sites")}
        return cls(**{name: value for name, value in values.items() if name in known} | lists)


@dataclass(frozen=True)
class Gauges:
    """The present state of the queue, by kind, and of storage."""

    queue_depth: dict[str, int]
    queue_oldest_seconds: dict[str, float]
    jobs_running: dict[str, int]
    artifact_bytes: int
    housekeeper_age_seconds: float  # since its last round; infinite before the first
