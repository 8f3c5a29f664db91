"""Job records: written with compare-and-set, read in one step."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from tasks.artifact import StoredArtifact
from tasks.errors import Conflict, JobNotFinal, LeaseLost, NotFound
from tasks.ids import is_id
from tasks.job import Job
from tasks.record import job_of, readable
from tasks.store.artifacts import artifact_of
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import key
from tasks.store.moves import (
    NO_NEW_SOURCES,
    NOTHING_ELSE,
    Extras,
    NewSources,
    QueueLimits,
    raise_refusal,
)
from tasks.store.packing import unpacked
from tasks.store.retry_for import NO_RETRY, RetryFor
from tasks.store.values import Lease, Snapshot
from tasks.store.writing import NOTHING_BESIDE, Writer


class JobRecords(StorePart):
    """Writes and reads single jobs."""

    def __init__(self, connection: Connection, writer: Writer) -> None:
        super().__init__(connection)
        self._writer = writer

    def replace(
        self,
        before: Job,
        job: Job,
        revision: int,
        *,
        lease_expired: bool = False,
        extras: Extras = NOTHING_ELSE,
        sources: NewSources = NO_NEW_SOURCES,
        limits: QueueLimits | None = None,
    ) -> list[str]:
        """Change a job that no worker holds, or whose lease has expired, and record new sources.

        Returns the stage of each new source, then that of the job. Raises Conflict when the record
        is no longer at `revision`, SourceGone, and, only for a final job that shall run again,
        QueueFull as `Submissions.write` does.
        """
        change = self._writer.change(job, before, extras, sources.outdated) | {
            "expect_revision": revision,
            "lease_expired": lease_expired,
        }
        beside = limits.to_dict() if limits else {}
        return self._write(job, change, sources, beside=beside)

    def _write(
        self,
        job: Job,
        change: dict[str, Any],
        sources: NewSources = NO_NEW_SOURCES,
        *,
        beside: Mapping[str, Any] = NOTHING_BESIDE,
        retry_for: RetryFor = NO_RETRY,
    ) -> list[str]:
        changes = [*self._writer.creations((), sources), (job, change)]
        answer = self._writer.write(changes, beside, retry_for)
        return raise_refusal(answer, lost=LeaseLost if "expect_token" in change else Conflict)

    def hold(
        self, lease: Lease, job: Job, lease_seconds: float, retry_for: RetryFor = NO_RETRY
    ) -> Lease:
        """Change a job and keep its lease. Raises LeaseLost or CancelRequested."""
        change = self._writer.change(job, lease.job) | {
            "stage": "leased",
            "expect_token": lease.token,
            "token": lease.token,
            "lease_seconds": lease_seconds,
        }
        self._write(job, change, retry_for=retry_for)
        return Lease(job, lease.token)

    def release(
        self,
        lease: Lease,
        job: Job,
        extras: Extras = NOTHING_ELSE,
        *,
        sources: NewSources = NO_NEW_SOURCES,
        retry_for: RetryFor = NO_RETRY,
    ) -> list[str]:
        """Change a job, end the lease, and record the sources that the job needs from now on.

        Returns the same as `replace`. Raises LeaseLost or CancelRequested.
        """
        change = self._writer.change(job, lease.job, extras) | {"expect_token": lease.token}
        return self._write(job, change, sources, retry_for=retry_for)

    def request_cancel(self, job_id: str) -> bool:
        """Ask the worker that runs the job to stop; False when the job does not run."""
        return bool(self._run("request_cancel", [key("job", job_id)]))

    def cancel_requested(self, job_id: str) -> bool:
        """Whether a client has asked to cancel the running job."""
        with translated():
            return bool(self._redis.hget(key("job", job_id), "cancel") == b"1")

    def snapshot(self, job_id: str, owner: str | None) -> Snapshot:
        """The public JSON of a job in one read; `owner` None may read all. Raises NotFound."""
        if is_id(job_id):
            with translated():
                got = self._redis.hmget(key("job", job_id), "doc", "revision", "state", "owner")
            if got[0] is not None and owner in (None, got[3].decode()):
                return Snapshot.of(job_id, *got[:3])
        raise NotFound("there is no such job")

    def get_with_revision(self, job_id: str, owner: str | None = None) -> tuple[Job, int]:
        """The record, and its revision for `replace`. Raises NotFound or Unreadable."""
        if is_id(job_id):
            with translated():
                got = self._redis.hmget(key("job", job_id), "record", "revision")
            if got[0] is not None:
                job = job_of(json.loads(unpacked(got[0])))
                if owner in (None, job.owner):
                    return job, int(got[1])
        raise NotFound("there is no such job")

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """The record. Raises NotFound."""
        return self.get_with_revision(job_id, owner)[0]

    def found(self, job_ids: Collection[str]) -> dict[str, Job]:
        """The records of the jobs that exist and that this version can read, by id."""
        ids = [job_id for job_id in job_ids if is_id(job_id)]
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hget(key("job", job_id), "record")
            records = pipeline.execute()
        jobs = [readable(unpacked(record)) for record in records if record is not None]
        return {job.id: job for job in jobs if job is not None}

    def timeline(self, job_id: str, owner: str | None = None) -> list[dict[str, Any]]:
        """What happened to a job, in order; `at` in seconds since 1970. Raises NotFound."""
        self.snapshot(job_id, owner)
        with translated():
            return [json.loads(line) for line in self._redis.lrange(key("timeline", job_id), 0, -1)]

    def delete(self, job_id: str) -> list[StoredArtifact]:
        """Remove a final job; returns the artifacts that no job refers to any more.

        Raises NotFound or JobNotFinal.
        """
        status, *metas = self._run("delete", [key("job", job_id)], job_id)
        if status == b"absent":
            raise NotFound("there is no such job")
        if status == b"open":
            raise JobNotFinal("the job is not final: cancel it first")
        if status == b"in use":
            raise JobNotFinal(
                "other jobs still need this job's artifact: wait for them or cancel them"
            )
        return [artifact_of(meta) for meta in metas]
