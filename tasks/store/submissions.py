"""Writes a submission: one job or a batch, with the downloads that they need, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import Conflict
from tasks.job import Job
from tasks.store.connection import Connection, StorePart
from tasks.store.idempotency import IdempotencyKey
from tasks.store.moves import NO_NEW_SOURCES, NewSources, QueueLimits, raise_refusal, target
from tasks.store.writing import Writer
from tasks.webhook import BATCH_FINISHED, Webhook


@dataclass(frozen=True)
class NewBatch:
    """A batch that is recorded together with its jobs. Times are seconds since 1970, UTC."""

    id: str
    owner: str
    created_at: float

    def holding(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """The record of the batch, written together with these jobs."""
        record = json.dumps({"owner": self.owner, "created_at": self.created_at})
        return {
            "id": self.id,
            "owner": self.owner,
            "record": record,
            "size": len(jobs),
            "webhooks": json.dumps(self._told(jobs)),
        }

    def _told(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Who shall be told of the end of the batch: each URL once, whatever jobs name it."""
        named = {job.webhook for job in jobs if job.webhook is not None}
        urls = {webhook.url for webhook in named if BATCH_FINISHED in webhook.events}
        return [target(self.owner, Webhook(url, (BATCH_FINISHED,))) for url in sorted(urls)]


class Submissions(StorePart):
    """Writes accepted submissions, each in one step."""

    def __init__(self, connection: Connection, writer: Writer) -> None:
        super().__init__(connection)
        self._writer = writer

    def write(
        self,
        jobs: Sequence[Job],
        sources: NewSources = NO_NEW_SOURCES,
        *,
        idempotency: IdempotencyKey | None = None,
        limits: QueueLimits | None = None,
        batch: NewBatch | None = None,
    ) -> list[str]:
        """Record new jobs with the sources that are made for them.

        Returns the stage of each source and each job. A job waits for another job that does its
        work already. A new source that another job delivers already is not recorded: its stage is
        empty, and the jobs that need it wait for that other job. Raises QueueFull when more jobs
        than `limits` allow would be queued, SourceGone when a job that shall deliver a source was
        deleted, Replayed or IdempotencyKeyReused; then nothing is written.
        """
        id = batch.id if batch else jobs[-1].id
        beside = {
            **(limits.to_dict() if limits else {}),
            "batch": batch and batch.holding(jobs),
            "idempotency": idempotency and idempotency.accepting(id),
        }
        present = {name: value for name, value in beside.items() if value is not None}
        answer = self._writer.write(self._writer.creations(jobs, sources), present)
        if idempotency is not None and answer[0] == b"accepted":
            idempotency.refuse(answer[1])
        return raise_refusal(answer, lost=Conflict)
