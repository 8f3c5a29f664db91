"""A batch: jobs that were submitted together, with counts by state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tasks.job import JobState

BATCH_STATES = ("running", "succeeded", "failed", "partial", "cancelled")


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

    @classmethod
    def of(cls, id: str, got: Mapping[str, str]) -> Self:
        """The batch from the fields of its hash in the store."""
        record, size = json.loads(got["record"]), int(got["size"])
        finished = got.get("finished_at")
        return cls(
            id=id,
            owner=record["owner"],
            created_at=record["created_at"],
            finished_at=float(finished) if finished else None,
            size=size,
            counts={state.value: int(got.get(f"n:{state}", 0)) for state in JobState},
            progress=min(1.0, max(0.0, float(got["progress"]) / max(1, size))),
            revision=int(got.get("revision", 0)),
        )

    @property
    def final(self) -> bool:
        """Whether every job is final."""
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
