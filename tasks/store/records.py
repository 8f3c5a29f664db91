"""Job records: written with compare-and-set, read in one step."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tasks.errors import ClipmillError, JobNotFinal, NotFound
from tasks.ids import is_id
from tasks.job import Job, JobState, WaitReason
from tasks.rendering import render_job
from tasks.store.connection import StorePart, translated
from tasks.store.counters import counters_of_move
from tasks.store.keys import key
from tasks.store.values import Lease, Snapshot, StoredArtifact

# One step of priority is worth this much waiting: high goes first, low is never starved.
PRIORITY_SECONDS = 60.0


class Conflict(ClipmillError):
    """Somebody else changed the job first; read it again."""


class LeaseLost(Conflict):
    """The job is in other hands now; nothing may be written for it."""


class CancelRequested(ClipmillError):
    """The client asked to stop this job; only `cancelled` may follow."""


class ArtifactGone(ClipmillError):
    """A file that was to be shown by one more job has been removed just now."""


class Follows(ClipmillError):
    """Another job does the same work already."""

    def __init__(self, leader: str) -> None:
        super().__init__(leader)
        self.leader = leader


@dataclass(frozen=True)
class Extras:
    """What else is written together with a job."""

    counters: Counter[str] = field(default_factory=Counter)
    artifacts: Sequence[tuple[StoredArtifact, bool]] = ()  # with whether the file is new
    cache_key: str | None = None


NOTHING_ELSE = Extras()


def external_index(external_id: str) -> str:
    """The name under which an external id is indexed: short and free of odd characters."""
    return sha256(external_id.encode()).hexdigest()[:32]


def place_of(job: Job) -> str:
    """Where a job belongs when no worker holds it: ready, delayed, waiting or final."""
    if job.state.final:
        return "final"
    if job.wait_reason is WaitReason.DEPENDENCY:
        return "waiting"
    return "delayed" if job.not_before is not None else "ready"


def _change_of(job: Job, before: Job | None, extras: Extras) -> dict[str, Any]:
    """All that the script needs to know of a job besides its two documents."""
    counters = counters_of_move(before, job)
    counters.update(extras.counters)
    change = {
        "write": secrets.token_hex(8),
        "id": job.id,
        "kind": job.kind,
        "owner": job.owner,
        "batch": job.batch_id,
        "external": job.external_id and external_index(job.external_id),
        "state": job.state,
        "place": place_of(job),
        "flight": None if job.state.final else job.fingerprint,
        "progress": job.progress,
        "queued_at": job.queued_at,
        "score": job.queued_at - job.priority * PRIORITY_SECONDS,
        "not_before": job.not_before,
        "depends_on": job.depends_on,
        "leaves": before.depends_on if before and before.depends_on != job.depends_on else None,
        "counters": dict(counters),
        "cache_key": extras.cache_key,
        "artifacts": [
            {"id": item.id, "size_bytes": item.size_bytes, "new": new,
             "meta": json.dumps(item.to_dict())}
            for item, new in extras.artifacts
        ],
    }  # fmt: skip
    # An absent field is nil in Lua; a JSON null would be a value that counts as true.
    return {name: value for name, value in change.items() if value is not None}


class Records(StorePart):
    """Writing and reading single jobs."""

    def _write(
        self, job: Job, change: dict[str, Any], otherwise: Job | None = None, client: Any = None
    ) -> str:
        versions = [job] if otherwise is None else [job, otherwise]
        documents = [
            part for item in versions for part in (json.dumps(item.to_dict()), render_job(item))
        ]
        script = "create" if "create" in change else "change"
        answer = self.run(
            script, [key("job", job.id)], json.dumps(change), *documents, client=client
        )
        if client is not None:
            return "queued"
        return _checked(answer, lost=LeaseLost if "expect_token" in change else Conflict)

    def add(self, job: Job, *, or_follow: bool = False, pipeline: Any = None) -> str:
        """Record a new job; answers its place (ready or waiting).

        When another job already does the work that the job's fingerprint names, the new one
        waits for it with `or_follow`; without, Follows is raised and nothing is written.
        """
        change = _change_of(job, None, NOTHING_ELSE) | {"create": True}
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
    ) -> str:
        """Change a job that nobody holds, or whose lease has expired; answers its place.

        Raises Conflict when the record is no longer at `revision`, Follows as `add` does.
        """
        change = _change_of(job, before, extras) | {
            "expect_revision": revision,
            "lease_expired": lease_expired,
        }
        return self._write(job, change)

    def hold(self, lease: Lease, job: Job, lease_seconds: float) -> Lease:
        """Change a job and keep it. Raises LeaseLost or CancelRequested."""
        change = _change_of(job, lease.job, NOTHING_ELSE) | {
            "place": "leased",
            "expect_token": lease.token,
            "token": lease.token,
            "lease_seconds": lease_seconds,
        }
        self._write(job, change)
        return Lease(job, lease.token)

    def release(
        self, lease: Lease, job: Job, extras: Extras = NOTHING_ELSE, *, accept_cancel: bool = False
    ) -> str:
        """Change a job for the last time under this lease. Raises LeaseLost or CancelRequested."""
        change = _change_of(job, lease.job, extras) | {
            "expect_token": lease.token,
            "accept_cancel": accept_cancel,
        }
        return self._write(job, change)

    def request_cancel(self, job_id: str) -> bool:
        """Ask the worker that runs the job to stop it; False when it does not run."""
        return bool(self.run("request_cancel", [key("job", job_id)]))

    def cancel_requested(self, job_id: str) -> bool:
        """Whether the client has asked to stop the running job."""
        with translated():
            return bool(self.redis.hget(key("job", job_id), "cancel") == b"1")

    def snapshot(self, job_id: str, owner: str | None) -> Snapshot:
        """The public JSON of a job in one read; `owner` None sees all. Raises NotFound."""
        if is_id(job_id):
            with translated():
                got = self.redis.hmget(key("job", job_id), "doc", "revision", "state", "owner")
            if got[0] is not None and owner in (None, got[3].decode()):
                return Snapshot(job_id, got[0], int(got[1]), JobState(got[2].decode()))
        raise NotFound("there is no such job")

    def job_and_revision(self, job_id: str, owner: str | None = None) -> tuple[Job, int]:
        """The record, and the revision to change it by. Raises NotFound."""
        if is_id(job_id):
            with translated():
                got = self.redis.hmget(key("job", job_id), "record", "revision")
            if got[0] is not None:
                job = Job.from_dict(json.loads(got[0]))
                if owner in (None, job.owner):
                    return job, int(got[1])
        raise NotFound("there is no such job")

    def job(self, job_id: str, owner: str | None = None) -> Job:
        """The record. Raises NotFound."""
        return self.job_and_revision(job_id, owner)[0]

    def delete(self, job_id: str) -> list[StoredArtifact]:
        """Remove a final job; answers the artifacts that nothing refers to any more."""
        status, *metas = self.run("delete", [key("job", job_id)], job_id)
        if status == b"absent":
            raise NotFound("there is no such job")
        if status == b"open":
            raise JobNotFinal("the job is not final: cancel it first")
        if status == b"in use":
            raise JobNotFinal("other jobs still take this job's artifact as their source")
        return [StoredArtifact(**json.loads(meta)) for meta in metas]

    def artifact(self, artifact_id: str, owner: str | None = None) -> StoredArtifact:
        """A published file by its id. Raises NotFound."""
        if is_id(artifact_id):
            with translated():
                meta = self.redis.hget(key("artifact", artifact_id), "meta")
            if meta is not None:
                artifact = StoredArtifact(**json.loads(meta))
                if owner in (None, artifact.owner):
                    return artifact
        raise NotFound("there is no such artifact")

    def leader(self, flight: str) -> Job | None:
        """The job that does, or has done, the work of this name."""
        return self._pointed("flight", flight)

    def cached(self, cache_key: str) -> Job | None:
        """The job whose artifacts answer this work."""
        return self._pointed("cache", cache_key)

    def _pointed(self, space: str, name: str) -> Job | None:
        with translated():
            job_id = self.redis.get(key(space, name))
        if job_id is None:
            return None
        try:
            return self.job(job_id.decode())
        except NotFound:
            return None

    def has_dependents(self, job_id: str) -> bool:
        """Whether a job that is not final takes this one as its source."""
        with translated():
            return bool(self.redis.exists(key("dependents", job_id)))

    def dependents(self, job_id: str) -> list[str]:
        """Jobs, not final, whose source is this job."""
        with translated():
            return sorted(item.decode() for item in self.redis.smembers(key("dependents", job_id)))


def _checked(answer: list[bytes], *, lost: type[Conflict]) -> str:
    status = answer[0].decode()
    if status == "conflict":
        raise lost("the job has changed")
    if status == "cancelled":
        raise CancelRequested("the client asked to stop this job")
    if status == "gone":
        raise ArtifactGone("the file has been removed")
    if status == "follows":
        raise Follows(answer[1].decode())
    return status
