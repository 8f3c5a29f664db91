"""Batches: jobs that were submitted together, with counts by state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from tasks.batch import Batch
from tasks.errors import NotFound, unknown_cursor
from tasks.ids import is_id
from tasks.job import Job
from tasks.record import readable
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key
from tasks.store.packing import unpacked
from tasks.store.values import Snapshot

_PAGE = 100
_MOST_PAGES_READ = 20


@dataclass(frozen=True)
class BatchPage:
    """Batches, newest first; `next_cursor` is None on the last page."""

    items: list[Batch]
    next_cursor: str | None


class BatchRecords(StorePart):
    """Reads batches; the writes of their jobs write them."""

    def get(self, batch_id: str, owner: str | None = None) -> Batch:
        """The batch with its counts. Raises NotFound when it is absent or has another owner."""
        batch = self._read([batch_id])[0] if is_id(batch_id) else None
        if batch is None or owner not in (None, batch.owner):
            raise NotFound("there is no such batch")
        return batch

    def page(
        self, state: str | None, limit: int, cursor: str | None, owner: str | None
    ) -> BatchPage:
        """Batches in this state, newest first. Raises InvalidRequest for a cursor that is no id.

        Where the state matches few batches, a page may be short or empty and still have a cursor.
        """
        if cursor is not None and not is_id(cursor):
            raise unknown_cursor()
        found: list[Batch] = []
        for _ in range(_MOST_PAGES_READ):
            ids = self._ids_before(cursor, owner)
            found += [it for it in self._read(ids) if it and state in (None, it.state)]
            if len(found) > limit:
                return BatchPage(found[:limit], found[limit - 1].id)
            if len(ids) < _PAGE:
                return BatchPage(found, None)
            cursor = ids[-1]
        return BatchPage(found, cursor)

    def _ids_before(self, cursor: str | None, owner: str | None) -> list[str]:
        name = key("index", "batches", *([owner] if owner is not None else []))
        top = f"({cursor}" if cursor else "+"
        with translated():
            found = self._redis.zrevrangebylex(name, top, "-", start=0, num=_PAGE)
        return [item.decode() for item in found]

    def _read(self, ids: Sequence[str]) -> list[Batch | None]:
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for batch_id in ids:
                pipeline.hgetall(key("batch", batch_id))
            rows = pipeline.execute()
        return [
            Batch.of(id_, {name.decode(): text.decode() for name, text in row.items()})
            if b"record" in row
            else None
            for id_, row in zip(ids, rows, strict=True)
        ]

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
