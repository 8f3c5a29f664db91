"""Batches: jobs that were submitted together, counted as they move."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tasks.errors import NotFound
from tasks.ids import is_id
from tasks.job import Job, JobState
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.idempotency import IdempotencyKey, IdempotencyKeys
from tasks.store.jobs import JobRecords
from tasks.store.keys import key
from tasks.store.moves import Conflict, raise_refusal
from tasks.store.values import Batch, Snapshot


class BatchRecords(StorePart):
    """Writing a whole batch at once, and reading it."""

    def __init__(
        self, connection: Connection, jobs: JobRecords, idempotency: IdempotencyKeys
    ) -> None:
        super().__init__(connection)
        self._jobs = jobs
        self._idempotency = idempotency

    def add(
        self,
        batch_id: str,
        owner: str,
        now: float,
        jobs: Sequence[Job],
        idempotency: IdempotencyKey | None = None,
        most_queued: int | None = None,
    ) -> list[str]:
        """Record a batch and all of its jobs, or nothing; answers the stage of each.

        A job whose work another one does already waits for that one. Raises QueueFull when more
        than `most_queued` would be queued then, SourceGone when a job that others wait for is gone,
        Replayed or IdempotencyKeyReused.
        """
        name = key("batch", batch_id)
        record = json.dumps({"owner": owner, "created_at": now})
        most = "" if most_queued is None else most_queued
        sources = sorted({job.depends_on for job in jobs if job.depends_on})

        def write(pipeline: Any) -> None:
            self._run("open_batch", [name], record, len(jobs), most, *sources, client=pipeline)
            for job in jobs:
                self._jobs.add(job, or_follow=True, room={"in_batch": True}, pipeline=pipeline)

        opened, *answers = (
            self._idempotency.write(idempotency, name, write)
            if idempotency
            else self._at_once(write)
        )
        raise_refusal([opened], lost=Conflict)
        return [raise_refusal(answer, lost=Conflict) for answer in answers]

    def _at_once(self, write: Callable[[Any], None]) -> list[Any]:
        with translated(), self._redis.pipeline(transaction=True) as pipeline:
            write(pipeline)
            return list(pipeline.execute())

    def get(self, batch_id: str, owner: str | None = None) -> Batch:
        """The batch with its counts. Raises NotFound when absent or another's."""
        if not is_id(batch_id):
            raise NotFound("there is no such batch")
        with translated():
            got = self._redis.hgetall(key("batch", batch_id))
        if b"record" not in got:
            raise NotFound("there is no such batch")
        record = json.loads(got[b"record"])
        if owner not in (None, record["owner"]):
            raise NotFound("there is no such batch")
        size = int(got[b"size"])
        finished = got.get(b"finished_at")
        return Batch(
            id=batch_id,
            owner=record["owner"],
            created_at=record["created_at"],
            finished_at=float(finished) if finished else None,
            size=size,
            counts={state.value: int(got.get(b"n:" + state.encode(), 0)) for state in JobState},
            progress=min(1.0, max(0.0, float(got[b"progress"]) / max(1, size))),
            revision=int(got.get(b"revision", 0)),
        )

    def job_ids(self, batch_id: str) -> list[str]:
        """The batch's jobs in the order in which they were submitted."""
        with translated():
            found = self._redis.zrangebylex(key("index", "batch", batch_id), "-", "+")
        return [item.decode() for item in found]

    def snapshots(self, batch_id: str) -> list[Snapshot]:
        """The public JSON of the batch's jobs, in the order in which they were submitted."""
        return [
            Snapshot(job_id, row[0], int(row[1]), JobState(row[2].decode()))
            for job_id, row in self._of_each(batch_id, "doc", "revision", "state")
        ]

    def jobs(self, batch_id: str) -> list[Job]:
        """The batch's records, in the order in which they were submitted."""
        rows = self._of_each(batch_id, "record")
        return [Job.from_dict(json.loads(row[0])) for _, row in rows]

    def _of_each(self, batch_id: str, *names: str) -> list[tuple[str, list[Any]]]:
        """These fields of each job that is still there, and its id."""
        ids = self.job_ids(batch_id)
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(key("job", job_id), *names)
            rows = pipeline.execute()
        return [(id_, row) for id_, row in zip(ids, rows, strict=True) if row[0] is not None]
