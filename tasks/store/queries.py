"""Lists of jobs, newest first, read through the narrowest index that fits the query."""

from __future__ import annotations

import json
from dataclasses import replace

from tasks.errors import unknown_cursor
from tasks.ids import is_id
from tasks.job import JobState
from tasks.store.connection import StorePart, translated
from tasks.store.keys import FINAL, key
from tasks.store.moves import external_index
from tasks.store.values import FailureGroup, JobQuery, Page, Snapshot

# A filter that matches few jobs must not make one request read the whole index.
_READ_AT_MOST = 2000
_CHUNK = 200


class Queries(StorePart):
    """Reads many jobs."""

    def page(self, query: JobQuery, owner: str | None) -> Page:
        """The jobs that match, newest first. Raises InvalidRequest for a cursor that is no id.

        When filters match few jobs, a page may be short or empty and still have a cursor.
        """
        if query.cursor is not None and not is_id(query.cursor):
            raise unknown_cursor()
        items: list[Snapshot] = []
        cursor, read = query.cursor, 0
        # One job more than the limit shows whether this is the last page.
        wanted = query.limit + 1
        while read < _READ_AT_MOST:
            ids = self._ids_after(_index(query, owner), cursor, wanted)
            found = self._snapshots(ids, query, owner)
            items += [snapshot for snapshot in found if snapshot is not None]
            if len(items) > query.limit:
                return Page(items[: query.limit], items[query.limit - 1].id)
            if len(ids) < wanted:
                return Page(items, None)
            cursor, read, wanted = ids[-1], read + len(ids), _CHUNK
        return Page(items, cursor)

    def failures(self, owner: str | None) -> list[FailureGroup]:
        """The newest failed jobs, up to 2,000, by kind and code, the largest group first."""
        groups: dict[tuple[str, str], FailureGroup] = {}
        query = JobQuery(state=JobState.FAILED, limit=_CHUNK)
        for _ in range(_READ_AT_MOST // _CHUNK):
            page = self.page(query, owner)
            for item in page.items:
                job = json.loads(item.body)
                named = job["kind"], job["error"]["code"]
                first = FailureGroup(*named, 0, item.id, job["error"]["message"])
                known = groups.get(named, first)
                groups[named] = replace(known, count=known.count + 1)
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
        return sorted(groups.values(), key=lambda group: -group.count)

    def final_before(self, seconds: float, *, offset: int = 0, limit: int = 100) -> list[str]:
        """Jobs that ended before this time of the store's clock, the oldest end first."""
        bound = f"({seconds!r}"
        with translated():
            found = self._redis.zrangebyscore(FINAL, "-inf", bound, start=offset, num=limit)
        return [item.decode() for item in found]

    def _ids_after(self, index: str, cursor: str | None, count: int) -> list[str]:
        newest = f"({cursor}" if cursor else "+"
        with translated():
            found = self._redis.zrevrangebylex(index, newest, "-", start=0, num=count)
        return [item.decode() for item in found]

    def _snapshots(
        self, ids: list[str], query: JobQuery, owner: str | None
    ) -> list[Snapshot | None]:
        wanted = {
            "state": query.state,
            "kind": query.kind,
            "batch": query.batch_id,
            "code": query.error_code,
            "external": query.external_id and external_index(query.external_id),
            "owner": owner,
        }
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hmget(key("job", job_id), "doc", "revision", *wanted)
            rows = pipeline.execute()
        return [
            Snapshot.of(job_id, *row[:3])
            if row[0] is not None and _matches(row[2:], list(wanted.values()))
            else None
            for job_id, row in zip(ids, rows, strict=True)
        ]


def _matches(found: list[bytes], wanted: list[str | None]) -> bool:
    return all(
        want is None or value == want.encode() for value, want in zip(found, wanted, strict=True)
    )


def _index(query: JobQuery, owner: str | None) -> str:
    if query.batch_id is not None:
        return key("index", "batch", query.batch_id)
    if query.external_id is not None:
        return key("index", "external", external_index(query.external_id))
    if query.state is not None:
        return key("index", "state", query.state)
    if owner is not None:
        return key("index", "owner", owner)
    return key("index", "kind", query.kind) if query.kind else key("index", "all")
