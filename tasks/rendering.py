"""The public JSON of a job: rendered when the job changes, so that a poll is one read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from config.api import API_BASE
from tasks.batch import Batch
from tasks.job import Job
from tasks.result import ArtifactRef, Result


def rfc3339(seconds: float | None) -> str | None:
    """A time of a record in the form for clients."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _elapsed(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, end - begin), 3)


def public_job(job: Job) -> dict[str, Any]:
    """The job as all answers, events and webhooks show it."""
    self_url = f"{API_BASE}/jobs/{job.id}"
    error = job.error and {
        "code": job.error.code,
        "message": job.error.message,
        "retryable": job.error.retryable,
        "detail": job.error.detail,
    }
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "phase": job.phase,
        "wait_reason": job.wait_reason,
        "progress": round(job.progress, 4),
        "speed": job.speed,
        "eta_seconds": job.eta_seconds,
        "priority": job.priority,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "batch_id": job.batch_id,
        "depends_on": job.depends_on[0] if job.depends_on else None,
        **({"dependencies": list(job.depends_on)} if len(job.depends_on) > 1 else {}),
        "external_id": job.external_id,
        "metadata": job.metadata,
        **({"webhook": job.webhook.to_dict()} if job.webhook else {}),
        "spec": {"kind": job.kind, **job.spec.to_dict()},
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at),
        "finished_at": rfc3339(job.finished_at),
        "queue_seconds": _elapsed(job.queued_at, job.started_at),
        "run_seconds": _elapsed(job.started_at, job.finished_at),
        "result": job.result and public_result(job.result),
        "error": error,
        "links": {
            "self": self_url,
            "events": f"{self_url}/events",
            "cancel": f"{self_url}/cancel",
        },
    }


def public_result(result: Result) -> dict[str, Any]:
    """What a job made, with a URL for each of its files."""
    artifacts = [public_artifact(artifact) for artifact in result.artifacts]
    return {**result.to_dict(), "artifacts": artifacts}


def public_artifact(artifact: ArtifactRef) -> dict[str, Any]:
    """A file as a result lists it."""
    return {**vars(artifact), "url": f"{API_BASE}/artifacts/{artifact.id}"}


def public_batch(batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch as clients see it, in the parts before and after its jobs."""
    self_url = f"{API_BASE}/batches/{batch.id}"
    before = {
        "id": batch.id,
        "state": batch.state,
        "counts": batch.counts,
        "progress": round(batch.progress, 4),
        "created_at": rfc3339(batch.created_at),
        "finished_at": rfc3339(batch.finished_at),
    }
    links = {name: f"{self_url}/{name}" for name in ("events", "cancel", "archive")}
    return before, {"links": {"self": self_url, **links}}


def render_job(job: Job) -> bytes:
    """`public_job` as the bytes that a client receives. Raises ValueError for NaN or infinity."""
    text = json.dumps(public_job(job), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace")  # a title may hold half a surrogate pair
