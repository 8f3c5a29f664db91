"""When jobs ran, by their own records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clipmill.client.answers import Job


def most_at_once(jobs: Sequence[Job]) -> int:
    """How many jobs ran side by side, by their own records."""
    spans = [(moment(job, "started_at"), moment(job, "finished_at")) for job in jobs]
    return max(sum(start <= then < end for start, end in spans) for then, _ in spans)


def moment(job: Job, name: str) -> datetime:
    """A time in the job's record."""
    return datetime.fromisoformat(str(job.document[name]))
