"""The use cases of a client: submit, cancel, retry, delete. The record first, then the message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from config.api_keys import NO_LIMITS, KeyLimits
from config.settings import Settings
from tasks.dispatch.broker import Broker
from tasks.dispatch.checks import RequestChecks
from tasks.dispatch.dependents import Dependents
from tasks.dispatch.planning import JobRequest, Planner
from tasks.dispatch.room import RoomChecks
from tasks.errors import ArtifactExpired, JobAlreadyFinal, JobNotRetryable, NotFound, QueueFull
from tasks.job import Job, JobState
from tasks.kinds import UploadSpec
from tasks.storage import Storage
from tasks.store import IdempotencyKey, JobQuery, NewBatch, QueueLimits, Snapshot, Store
from tasks.store.optimistic import until_unopposed
from tasks.webhook import Webhook

UPLOAD_PRIORITY = 9  # its client waits, and the check takes a moment


class Dispatcher:
    """What a client can do with jobs. `owner` is the caller's name; None may change every job."""

    def __init__(self, store: Store, broker: Broker, storage: Storage, settings: Settings) -> None:
        self._store = store
        self._broker = broker
        self._storage = storage
        self._room = RoomChecks(store, settings)
        self._checks = RequestChecks(store, settings.allowed_networks)
        self._planner = Planner(store, settings.reuse_downloads_seconds)
        self._dependents = Dependents(store, broker, self._planner)

    def submit(
        self,
        request: JobRequest,
        owner: str,
        idempotency_key: str | None = None,
        limits: KeyLimits = NO_LIMITS,
    ) -> Snapshot:
        """Accept one job. Raises InvalidRequest, QueueFull, StoreFull, QuotaExceeded or
        StoreUnavailable.

        When the key was used before: raises Replayed with the id of that job if the request is
        the same, else IdempotencyKeyReused.
        """
        idempotency = self._idempotency(idempotency_key, owner, ["job", request.to_dict()])
        self._checks.check(request, owner)
        queue = self._room.check([request.spec], owner, limits)
        job = self._planner.record(request, owner)
        self._accept([job], queue, idempotency)
        return self._store.jobs.snapshot(job.id, owner)

    def submit_batch(
        self,
        requests: Sequence[JobRequest],
        owner: str,
        idempotency_key: str | None = None,
        limits: KeyLimits = NO_LIMITS,
    ) -> str:
        """Accept all jobs or none; returns the id of the batch. Raises as `submit`."""
        asked = ["batch", *(request.to_dict() for request in requests)]
        idempotency = self._idempotency(idempotency_key, owner, asked)
        self._checks.check_all(requests, owner)
        queue = self._room.check([request.spec for request in requests], owner, limits)
        batch = NewBatch(self._planner.new_id(), owner, time.time())
        jobs = [self._planner.record(request, owner, batch.id) for request in requests]
        self._accept(jobs, queue, idempotency, batch)
        return batch.id

    def check_webhook(self, webhook: Webhook) -> None:
        """Raises InvalidRequest for a URL that may not be requested."""
        self._checks.check_url(webhook.url, "/url")

    def new_upload_id(self) -> str:
        """The id of an upload, and of the job that will check it."""
        return self._planner.new_id()

    def known_upload(self, spec: UploadSpec, owner: str) -> str | None:
        """The owner's upload of the same bytes, if its file is there or is being checked."""
        name = spec.fingerprint(owner)
        job = self._store.equal_work.leaders([name]).get(name)
        if job is None or job.state in {JobState.FAILED, JobState.CANCELLED}:
            return None
        if job.result is None or job.result.main is None:
            return job.id
        try:
            artifact = self._store.artifacts.get(job.result.main.id)
        except (NotFound, ArtifactExpired):
            return None
        is_there = self._storage.has(artifact.storage_key, artifact.size_bytes)
        return job.id if is_there else None

    def check_upload(
        self, upload_id: str, spec: UploadSpec, owner: str, limits: KeyLimits = NO_LIMITS
    ) -> Snapshot:
        """Accept the job that checks and stores a file which has arrived. Raises as `submit`."""
        queue = self._room.check([spec], owner, limits)
        request = JobRequest(spec, priority=UPLOAD_PRIORITY)
        self._accept([self._planner.record(request, owner, job_id=upload_id)], queue)
        return self._store.jobs.snapshot(upload_id, owner)

    def _accept(
        self,
        jobs: Sequence[Job],
        queue: QueueLimits,
        idempotency: IdempotencyKey | None = None,
        batch: NewBatch | None = None,
    ) -> None:
        """Plan and record jobs and wake workers; plan again when a source was deleted meanwhile."""

        def attempt() -> None:
            plan = self._planner.plan(jobs)
            stages = self._store.submit(
                plan.jobs,
                plan.sources,
                idempotency=idempotency,
                limits=queue,
                batch=batch,
            )
            self._broker.wake_ready((*plan.sources.downloads, *plan.jobs), stages)

        until_unopposed(attempt)

    def _idempotency(
        self, idempotency_key: str | None, owner: str, asked: list[Any]
    ) -> IdempotencyKey | None:
        """The key with a digest of the request, looked up before the planning."""
        if idempotency_key is None:
            return None
        named = IdempotencyKey.of(owner, idempotency_key, asked)
        self._store.idempotency.check(named)
        return named

    def cancel(self, job_id: str, owner: str | None) -> Snapshot:
        """Cancel a job. Raises NotFound or JobAlreadyFinal."""

        def attempt() -> None:
            job, revision = self._store.jobs.get_with_revision(job_id, owner)
            if job.state.final:
                raise JobAlreadyFinal(f"the job is {job.state} already")
            self._dependents.cancel(job, revision)

        until_unopposed(attempt)
        return self._store.jobs.snapshot(job_id, owner)

    def retry(self, job_id: str, owner: str | None) -> Snapshot:
        """Run a failed or cancelled job again. Raises NotFound, JobNotRetryable or QueueFull."""

        def attempt() -> None:
            job, revision = self._store.jobs.get_with_revision(job_id, owner)
            if job.state not in {JobState.FAILED, JobState.CANCELLED}:
                raise JobNotRetryable(f"the job is {job.state}, neither failed nor cancelled")
            self._room.check_queue(1, job.owner)
            # A download that was made for a clip is the client's own from now on.
            plan = self._planner.plan([replace(job.retried(time.time()), internal=False)])
            (again,) = plan.jobs
            stages = self._store.jobs.replace(
                job, again, revision, sources=plan.sources, limits=self._room.usual
            )
            self._dependents.wake(again, plan.sources, stages)

        until_unopposed(attempt)
        return self._store.jobs.snapshot(job_id, owner)

    def retry_failed(self, query: JobQuery, owner: str | None) -> list[str]:
        """Run the failed jobs that match again, newest first, up to the query's limit; their ids.

        Raises QueueFull before any job is changed when the queue has too few free slots. When other
        jobs, or the downloads that the jobs need, take these slots meanwhile, the message of
        QueueFull says how many jobs were queued again.
        """
        page = self._store.queries.page(replace(query, state=JobState.FAILED), owner)
        return self._retry_all([snapshot.id for snapshot in page.items])

    def _retry_all(self, job_ids: Sequence[str]) -> list[str]:
        self._room.check_queue(len(job_ids))
        retried: list[str] = []
        for job_id in job_ids:
            try:
                retried += [job_id] if self._retried(job_id) else []
            except QueueFull as error:
                reached = f"only {len(retried)} of {len(job_ids)} jobs are queued again"
                message = f"{error.message}: {reached}" if retried else error.message
                raise QueueFull(message) from error
        return retried

    def _retried(self, job_id: str) -> bool:
        try:
            self.retry(job_id, None)
        except (JobNotRetryable, NotFound):
            return False  # another client retried or deleted the job in the meantime
        return True

    def delete(self, job_id: str, owner: str | None) -> None:
        """Remove a final job with its artifacts. Raises NotFound or JobNotFinal."""
        self._store.jobs.snapshot(job_id, owner)
        for artifact in self._store.jobs.delete(job_id):
            self._storage.delete(artifact.storage_key)

    def cancel_batch(self, batch_id: str, owner: str | None) -> None:
        """Cancel the jobs that are not final yet. Raises NotFound."""
        self._store.batches.get(batch_id, owner)
        for job_id in self._store.batches.job_ids(batch_id):
            try:
                self.cancel(job_id, None)
            except (JobAlreadyFinal, NotFound):
                continue

    def retry_batch(self, batch_id: str, owner: str | None) -> None:
        """Run the failed jobs again. Raises NotFound, or QueueFull as `retry_failed`."""
        self._store.batches.get(batch_id, owner)
        jobs = self._store.batches.snapshots(batch_id)
        self._retry_all([snapshot.id for snapshot in jobs if snapshot.state is JobState.FAILED])
