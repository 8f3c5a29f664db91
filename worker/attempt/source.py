"""The artifacts that a job takes as its sources."""

from __future__ import annotations

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, NotFound, SourceFailed
from tasks.job import Job
from tasks.store import Store


def source_of(store: Store, job: Job) -> StoredArtifact:
    """The artifact that the job takes as its source. Raises SourceFailed."""
    artifact = next(iter(source_artifacts(store, job)), None)
    if artifact is None:
        gone = next(iter(job.depends_on), None)
        raise SourceFailed("the source of this job is gone", {"job_id": gone})
    return artifact


def source_artifacts(store: Store, job: Job) -> list[StoredArtifact | None]:
    """The artifacts that a job takes as its sources; None for each that is gone or never was."""
    return [_main_artifact_of(store, job_id) for job_id in job.depends_on]


def _main_artifact_of(store: Store, job_id: str) -> StoredArtifact | None:
    try:
        job = store.jobs.get(job_id)
        main = job.result.main if job.result else None
        return store.artifacts.get(main.id) if main else None
    except (NotFound, ArtifactExpired):
        return None
