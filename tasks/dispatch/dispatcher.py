"""The use cases of a client: submit, cancel, retry, delete. The record first, then the message."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from config.settings import Settings
from tasks.dispatch.broker import Broker
from tasks.dispatch.dependents import Dependents
from tasks.dispatch.planning import JobRequest, Planner
from tasks.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    JobAlreadyFinal,
    JobNotFinal,
    JobNotRetryable,
    NotFound,
    QueueFull,
    StoreUnavailable,
)
from tasks.job import Job, JobState
from tasks.specs import Source
from tasks.storage import Storage
from tasks.store import (
    Conflict,
    Follows,
    IdempotencyKey,
    JobQuery,
    Replayed,
    Snapshot,
    SourceGone,
    Store,
)

log = logging.getLogger(__name__)

# How often a change is tried again when somebody else changed the job in between.
_TRIES = 20


class Dispatcher:
    """What a client can do with jobs. `owner` is the caller's name; None may touch every job."""

    def __init__(self, store: Store, broker: Broker, storage: Storage, settings: Settings) -> None:
        self._store = store
        self._broker = broker
        self._storage = storage
        self._max_queued = settings.max_queued_jobs
        reuse_seconds = settings.reuse_downloads_seconds
        self._planner = Planner(store, settings.allowed_networks, reuse_seconds)
        self._dependents = Dependents(store, broker)

    def submit(
        self, request: JobRequest, owner: str, idempotency_key: str | None = None
    ) -> Snapshot:
        """Accept one job. Raises InvalidRequest, QueueFull or StoreUnavailable.

        With a key that was used before: Replayed, whose id is the job's, when the request is the
        same, else IdempotencyKeyReused.
        """
        idempotency = self._idempotency(idempotency_key, owner, ["job", request.to_dict()])
        self._planner.check(request, owner)
        self._check_room(1)
        (job,) = self._accepted(
            lambda: [self._planner.plan(request, owner)],
            lambda jobs: [self._store.jobs.accept(jobs[0], idempotency, self._max_queued)],
        )
        return self._store.jobs.snapshot(job.id, owner)

    def submit_batch(
        self, requests: Sequence[JobRequest], owner: str, idempotency_key: str | None = None
    ) -> str:
        """Accept all jobs or none; answers the batch's id. Raises as `submit`."""
        asked = ["batch", *(request.to_dict() for request in requests)]
        idempotency = self._idempotency(idempotency_key, owner, asked)
        self._check_all(requests, owner)
        self._check_room(len(requests))
        batch_id = self._planner.new_id()
        self._accepted(
            lambda: self._planner.plan_batch(requests, owner, batch_id),
            lambda jobs: self._store.batches.add(
                batch_id, owner, time.time(), jobs, idempotency, self._max_queued
            ),
        )
        return batch_id

    def _accepted(
        self, plan: Callable[[], list[Job]], write: Callable[[list[Job]], list[str]]
    ) -> list[Job]:
        """What was planned, recorded and announced; planned again while its sources go away."""
        for _ in range(_TRIES):
            jobs = plan()
            try:
                with self._no_needless_downloads(jobs):
                    stages = write(jobs)
            except SourceGone:
                continue
            self._wake(jobs, stages)
            return jobs
        raise StoreUnavailable("the jobs that deliver the sources change too fast")

    @contextmanager
    def _no_needless_downloads(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Remove the downloads that were begun for jobs which are not accepted in the end."""
        try:
            yield
        except (QueueFull, Replayed, IdempotencyKeyReused):
            for parent in {job.depends_on for job in jobs if job.depends_on}:
                if self._dependents.stop_if_unused(parent):
                    self._delete_if_final(parent)
            raise

    def _delete_if_final(self, job_id: str) -> None:
        try:
            self.delete(job_id, None)
        except (JobNotFinal, NotFound):
            return  # a worker has it in hand, and will find that it is cancelled

    def _idempotency(
        self, idempotency_key: str | None, owner: str, asked: list[Any]
    ) -> IdempotencyKey | None:
        """The key with what it names, looked up before anything is planned."""
        if idempotency_key is None:
            return None
        named = IdempotencyKey.of(owner, idempotency_key, asked)
        self._store.idempotency.check(named)
        return named

    def cancel(self, job_id: str, owner: str | None) -> Snapshot:
        """Stop a job. Raises NotFound or JobAlreadyFinal."""
        for _ in range(_TRIES):
            job, revision = self._store.jobs.get_with_revision(job_id, owner)
            if job.state.final:
                raise JobAlreadyFinal(f"the job is {job.state} already")
            if self._dependents.cancel(job, revision):
                return self._store.jobs.snapshot(job_id, owner)
        raise StoreUnavailable("the job changes too fast")

    def retry(self, job_id: str, owner: str | None) -> Snapshot:
        """Run a failed or cancelled job again. Raises NotFound, JobNotRetryable or QueueFull."""
        for _ in range(_TRIES):
            job, revision = self._store.jobs.get_with_revision(job_id, owner)
            if job.state not in {JobState.FAILED, JobState.CANCELLED}:
                raise JobNotRetryable(f"the job is {job.state}")
            self._check_room(1)
            # A download that we made for a clip is the client's own from now on.
            asked = replace(job.retried(time.time()), internal=False)
            again = self._planner.with_source(asked)
            room = {"most_queued": self._max_queued}
            try:
                with self._no_needless_downloads([again]):
                    stage = self._store.jobs.replace(job, again, revision, room=room)
            except Conflict:
                continue
            except Follows:
                continue  # someone else began the same work: the next plan finds it
            self._wake([again], [stage])
            return self._store.jobs.snapshot(job_id, owner)
        raise StoreUnavailable("the job changes too fast")

    def retry_failed(self, query: JobQuery, owner: str | None) -> list[str]:
        """Run the failed jobs that match again, newest first, up to the query's limit; their ids.

        Raises QueueFull before any is touched when there is no room for them. When the room goes to
        others meanwhile, or to the downloads that the jobs need, its message says how many were.
        """
        page = self._store.queries.page(replace(query, state=JobState.FAILED), owner)
        return self._retry_all([snapshot.id for snapshot in page.items])

    def _retry_all(self, job_ids: Sequence[str]) -> list[str]:
        self._check_room(len(job_ids))
        retried: list[str] = []
        for job_id in job_ids:
            try:
                retried += [job_id] if self._retried(job_id) else []
            except QueueFull as error:
                told = f"{len(retried)} of {len(job_ids)} jobs are queued again, then it was full"
                raise QueueFull(f"{error.message}: {told}" if retried else error.message) from error
        return retried

    def _retried(self, job_id: str) -> bool:
        try:
            self.retry(job_id, None)
        except (JobNotRetryable, NotFound):
            return False  # somebody else retried or deleted it in the meantime
        return True

    def delete(self, job_id: str, owner: str | None) -> None:
        """Remove a final job with its artifacts. Raises NotFound or JobNotFinal."""
        self._store.jobs.snapshot(job_id, owner)
        for artifact in self._store.jobs.delete(job_id):
            self._storage.delete(artifact.storage_key)

    def cancel_batch(self, batch_id: str, owner: str | None) -> None:
        """Stop what is not final yet. Raises NotFound."""
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

    def _check_all(self, requests: Sequence[JobRequest], owner: str) -> None:
        checked: set[tuple[str, Source, str | None]] = set()
        for index, request in enumerate(requests):
            webhook = request.webhook["url"] if request.webhook else None
            what = (request.spec.kind, request.spec.source, webhook)
            if what in checked:
                continue
            try:
                self._planner.check(request, owner)
            except InvalidRequest as error:
                raise error.under(f"/jobs/{index}") from error
            checked.add(what)

    def _check_room(self, count: int) -> None:
        """Refuse early what the store would refuse after all the planning. Raises QueueFull."""
        if self._store.counters.queued_total() + count > self._max_queued:
            raise QueueFull("too many jobs wait already")

    def _wake(self, jobs: Sequence[Job], stages: Sequence[str]) -> None:
        """Send a message for each job that can run, and for the downloads they wait for."""
        ready = {
            job.id: job.kind for job, stage in zip(jobs, stages, strict=True) if stage == "ready"
        }
        waited_for = {
            job.depends_on for job in jobs if job.depends_on and job.wait_reason is not None
        }
        messages = [("download", parent) for parent in sorted(waited_for)]
        try:
            self._broker.publish([*messages, *((kind, job_id) for job_id, kind in ready.items())])
        except StoreUnavailable:
            # The records are written, so the jobs are accepted: the housekeeper sends again.
            log.warning("no message could be sent", extra={"values": {"jobs": len(jobs)}})
