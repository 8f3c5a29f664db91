"""Publishing the files of an attempt as artifacts, and answering a job with earlier artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from config.timings import PRODUCTION, Timings
from tasks.artifact import StoredArtifact
from tasks.dispatch.planning import new_enough
from tasks.errors import ArtifactExpired, NotFound, StoreUnavailable
from tasks.ids import IdMaker
from tasks.job import Job, JobState
from tasks.kinds import KINDS
from tasks.metrics.observer import JobObserver
from tasks.result import Result
from tasks.storage import Storage
from tasks.store import Extras, Store
from worker.attempt.lease import LeasedJob
from worker.attempt.outcome import Outcome, ProducedFile
from worker.attempt.source import source_artifacts
from worker.engine.cleanup import remove_in_the_end
from worker.kinds import HANDLERS
from worker.kinds.file_names import media_type


@dataclass(frozen=True)
class Artifacts:
    """Published files with the result that lists them."""

    stored: Sequence[StoredArtifact]
    new: bool
    result: Result
    cache_key: str | None
    observer: JobObserver  # of the work that made them

    def extras(self) -> Extras:
        """The changes that are written together with the job's success."""
        return Extras(
            tally=self.observer.tally,
            artifacts=[(item, self.new) for item in self.stored],
            cache_key=self.cache_key if self.new else None,
        )


class Publisher:
    """Puts files into storage, and finds the artifacts of equal work.

    A download answers other jobs for `reuse_seconds`, however long its file is kept.
    """

    def __init__(
        self, store: Store, storage: Storage, reuse_seconds: float, timings: Timings = PRODUCTION
    ) -> None:
        self._removal_retry_seconds = timings.removal_retry_seconds
        self._store = store
        self._storage = storage
        self._reuse_seconds = reuse_seconds
        self._new_id = IdMaker()

    @contextmanager
    def published(self, leased: LeasedJob, outcome: Outcome) -> Iterator[Artifacts]:
        """The outcome's files in storage; they are removed when the block fails.

        After StoreUnavailable they stay, since the record may list them already. If it does not,
        the housekeeper finds the files by the keys that were recorded before.
        """
        named = [(self._new_id(), file) for file in outcome.files]
        keys = [self._storage.key_for(id_, file.path.suffix[1:].lower()) for id_, file in named]
        leased.change(lambda job: job.entered("storing", keys))
        try:
            stored = [self._put(leased.job, id_, file) for id_, file in named]
            result = outcome.result.with_artifacts(stored)
            observer = JobObserver(leased.job.kind)
            observer.work_published(result)
            yield Artifacts(stored, True, result, self._cache_key(leased.job), observer)
        except StoreUnavailable:
            raise
        except BaseException:
            for key in keys:
                remove_in_the_end(partial(self._storage.delete, key), self._removal_retry_seconds)
            raise

    def answer_for(self, job: Job) -> Artifacts | None:
        """The artifacts of an equal job of the same owner, if all of them are still there."""
        cache_key = self._cache_key(job)
        earlier = self._store.equal_work.cached(cache_key) if cache_key else None
        if earlier is None or earlier.state is not JobState.SUCCEEDED or earlier.result is None:
            return None
        if job.fingerprint is not None and not new_enough(earlier, job, self._reuse_seconds):
            return None
        try:
            stored = [self._store.artifacts.get(item.id) for item in earlier.result.artifacts]
        except (NotFound, ArtifactExpired):
            return None
        if not all(self._storage.has(item.storage_key, item.size_bytes) for item in stored):
            return None
        observer = JobObserver(job.kind)
        observer.answered_from_storage()
        return Artifacts(stored, False, earlier.result.reused(), cache_key, observer)

    def _put(self, job: Job, artifact_id: str, file: ProducedFile) -> StoredArtifact:
        stored = self._storage.put(file.path, artifact_id, file.path.suffix[1:].lower())
        return StoredArtifact(
            id=artifact_id,
            job_id=job.id,
            owner=job.owner,
            storage_key=stored.key,
            filename=file.name,
            media_type=media_type(file.name),
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            role=file.role,
            facts=file.facts.to_dict() if file.facts else None,
        )

    def _cache_key(self, job: Job) -> str | None:
        source = None
        if not KINDS[job.kind].reads_site:
            source = next(iter(source_artifacts(self._store, job)), None)
        return HANDLERS[job.kind].cache_key(job, source)
