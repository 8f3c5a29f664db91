"""Job records: written with compare-and-set, read in one step."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from tasks.artifact import StoredArtifact
from tasks.errors import JobNotFinal, NotFound
from tasks.ids import is_id
from tasks.job import Job, JobState, WaitReason
from tasks.rendering import render_job
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.idempotency import IdempotencyKey, IdempotencyKeys
from tasks.store.keys import key
from tasks.store.moves import (
    NOTHING_ELSE,
    Conflict,
    Extras,
    LeaseLost,
    change_of,
    raise_refusal,
)
from tasks.store.retry_for import NO_RETRY, RetryFor
from tasks.store.values import Lease, Snapshot

ANY_NUMBER: Mapping[str, Any] = {}  # of jobs may be queued


class JobRecords(StorePart):
    """Writing and reading single jobs."""

    def __init__(self, connection: Connection, idempotency: IdempotencyKeys) -> None:
        super().__init__(connection)
        self._idempotency = idempotency

    def _write(
        self,
        job: Job,
        change: dict[str, Any],
        otherwise: Job | None = None,
        client: Any = None,
        retry_for: RetryFor = NO_RETRY,
    ) -> str:
        versions = [job] if otherwise is None else [job, otherwise]
        documents = [
            part for item in versions for part in (json.dumps(item.to_dict()), render_job(item))
        ]
        script = "create" if "create" in change else "change"
        keys, told = [key("job", job.id)], json.dumps(change)
        # The same words each time: the script knows a write that it has done already.
        answer = retry_for.run(lambda: self._run(script, keys, told, *documents, client=client))
        if client is not None:
            return "queued"
        return raise_refusal(answer, lost=LeaseLost if "expect_token" in change else Conflict)

    def accept(self, job: Job, idempotency: IdempotencyKey | None, most_queued: int) -> str:
        """`add` with `or_follow`, for a submission, which its client may have named.

        Raises QueueFull when so many are queued already, SourceGone when the job that it waits for
        is gone, Replayed or IdempotencyKeyReused.
        """
        room = {"most_queued": most_queued}
        if idempotency is None:
            return self.add(job, or_follow=True, room=room)
        answers = self._idempotency.write(
            idempotency,
            key("job", job.id),
            lambda pipeline: self.add(job, or_follow=True, room=room, pipeline=pipeline),
        )
        return raise_refusal(answers[0], lost=Conflict)

    def add(
        self,
        job: Job,
        *,
        or_follow: bool = False,
        room: Mapping[str, Any] = ANY_NUMBER,
        pipeline: Any = None,
    ) -> str:
        """Record a new job; answers its stage (ready or waiting).

        When another job already does the work that the job's fingerprint names, the new one
        waits for it with `or_follow`; without, Follows is raised and nothing is written.
        `room` is what the script shall look at before it lets another job in.
        """
        change = change_of(job, None, NOTHING_ELSE) | {"create": True, **room}
        if not or_follow or job.fingerprint is None:
            return self._write(job, change, client=pipeline)
        # Only the script knows whom it follows: it puts that id where the placeholder stands.
        placeholder = secrets.token_hex(16)
        following = job.depending_on(placeholder, WaitReason.DEPENDENCY)
        return self._write(job, change | {"placeholder": placeholder}, following, client=pipeline)

    def replace(
        self,
        before: Job,
        job: Job,
        revision: int,
        *,
        lease_expired: bool = False,
        extras: Extras = NOTHING_ELSE,
        room: Mapping[str, Any] = ANY_NUMBER,
    ) -> str:
        """Change a job that nobody holds, or whose lease has expired; answers its stage.

        Raises Conflict when the record is no longer at `revision`, Follows and QueueFull as `add`
        does, the latter only for a final job that shall run again.
        """
        change = change_of(job, before, extras) | {
            "expect_revision": revision,
            "lease_expired": lease_expired,
            **room,
        }
        return self._write(job, change)

    def hold(
        self, lease: Lease, job: Job, lease_seconds: float, retry_for: RetryFor = NO_RETRY
    ) -> Lease:
        """Change a job and keep it. Raises LeaseLost or CancelRequested."""
        change = change_of(job, lease.job, NOTHING_ELSE) | {
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
        retry_for: RetryFor = NO_RETRY,
    ) -> str:
        """Change a job for the last time under this lease. Raises LeaseLost or CancelRequested."""
        change = change_of(job, lease.job, extras) | {"expect_token": lease.token}
        return self._write(job, change, retry_for=retry_for)

    def request_cancel(self, job_id: str) -> bool:
        """Ask the worker that runs the job to stop it; False when it does not run."""
        return bool(self._run("request_cancel", [key("job", job_id)]))

    def cancel_requested(self, job_id: str) -> bool:
        """Whether the client has asked to stop the running job."""
        with translated():
            return bool(self._redis.hget(key("job", job_id), "cancel") == b"1")

    def snapshot(self, job_id: str, owner: str | None) -> Snapshot:
        """The public JSON of a job in one read; `owner` None sees all. Raises NotFound."""
        if is_id(job_id):
            with translated():
                got = self._redis.hmget(key("job", job_id), "doc", "revision", "state", "owner")
            if got[0] is not None and owner in (None, got[3].decode()):
                return Snapshot(job_id, got[0], int(got[1]), JobState(got[2].decode()))
        raise NotFound("there is no such job")

    def get_with_revision(self, job_id: str, owner: str | None = None) -> tuple[Job, int]:
        """The record, and the revision to change it by. Raises NotFound."""
        if is_id(job_id):
            with translated():
                got = self._redis.hmget(key("job", job_id), "record", "revision")
            if got[0] is not None:
                job = Job.from_dict(json.loads(got[0]))
                if owner in (None, job.owner):
                    return job, int(got[1])
        raise NotFound("there is no such job")

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """The record. Raises NotFound."""
        return self.get_with_revision(job_id, owner)[0]

    def timeline(self, job_id: str, owner: str | None = None) -> list[dict[str, Any]]:
        """What happened to a job, in order; `at` in seconds since 1970. Raises NotFound."""
        self.snapshot(job_id, owner)
        with translated():
            return [json.loads(line) for line in self._redis.lrange(key("timeline", job_id), 0, -1)]

    def delete(self, job_id: str) -> list[StoredArtifact]:
        """Remove a final job; answers the artifacts that nothing refers to any more."""
        status, *metas = self._run("delete", [key("job", job_id)], job_id)
        if status == b"absent":
            raise NotFound("there is no such job")
        if status == b"open":
            raise JobNotFinal("the job is not final: cancel it first")
        if status == b"in use":
            raise JobNotFinal("other jobs still take this job's artifact as their source")
        return [StoredArtifact(**json.loads(meta)) for meta in metas]
