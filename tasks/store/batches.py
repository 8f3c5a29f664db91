"""Batches: jobs that were submitted together, with counts by state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from tasks.batch import Batch
from tasks.errors import NotFound
from tasks.ids import is_id
from tasks.job import Job
from tasks.record import readable
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key
from tasks.store.packing import unpacked
from tasks.store.values import Snapshot

_PAGE = 100


class BatchRecords(StorePart):
    """Reads batches; the writes of their jobs write them."""

    def get(self, batch_id: str, owner: str | None = None) -> Batch:
        """The batch with its counts. Raises NotFound when it is absent or has another owner."""
        if not is_id(batch_id):
            raise NotFound("there is no such batch")
        with translated():
            got = self._redis.hgetall(key("batch", batch_id))
        if b"record" not in got:
            raise NotFound("there is no such batch")
        batch = Batch.of(batch_id, {name.decode(): text.decode() for name, text in got.items()})
        if owner not in (None, batch.owner):
            raise NotFound("there is no such batch")
        return batch

    def job_ids(self, batch_id: str) -> list[str]:
        """The batch's jobs in the order in which they were submitted."""
        with translated():
            found = self._redis.zrangebylex(key("index", "batch", batch_id), "-", "+")
        return [item.decode() for item in found]

    def snapshots(self, batch_id: str) -> list[Snapshot]:
        """The public JSON of the batch's jobs, in the order in which they were submitted."""
        return list(chain.from_iterable(self.pages(batch_id)))

    def pages(self, batch_id: str) -> Iterator[list[Snapshot]]:
        """The same, some jobs at a time."""
        ids = self.job_ids(batch_id)
        for begin in range(0, len(ids), _PAGE):
            rows = self._of_each(ids[begin : begin + _PAGE], "doc", "revision", "state")
            yield [Snapshot.of(job_id, *row) for job_id, row in rows]

    def jobs(self, batch_id: str) -> list[Job]:
        """The batch's records that this version can read, in the order of their submission."""
        rows = self._of_each(self.job_ids(batch_id), "record")
        found = (readable(unpacked(row[0])) for _, row in rows)
        return [job for job in found if job is not None]

    def _of_each(self, ids: Sequence[str], *names: str) -> list[tuple[str, list[Any]]]:
        """The id and these fields of each job that was not deleted."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(key("job", job_id), *names)
            rows = pipeline.execute()
        return [(id_, row) for id_, row in zip(ids, rows, strict=True) if row[0] is not None]
