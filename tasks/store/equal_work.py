"""Equal work runs once: the leader of each fingerprint, and the job whose artifacts answer it."""

from __future__ import annotations

from collections.abc import Collection

from tasks.job import Job
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.jobs import JobRecords
from tasks.store.keys import key


class EqualWork(StorePart):
    """Finds the job that does equal work, or has done it."""

    def __init__(self, connection: Connection, jobs: JobRecords) -> None:
        super().__init__(connection)
        self._jobs = jobs

    def leaders(self, flights: Collection[str]) -> dict[str, Job]:
        """The jobs that do, or have done, the work of these fingerprints, by fingerprint."""
        names = list(flights)
        with translated():
            found = self._redis.mget([key("flight", name) for name in names]) if names else []
        ids = {name: id.decode() for name, id in zip(names, found, strict=True) if id is not None}
        jobs = self._jobs.found(set(ids.values()))
        return {name: jobs[id] for name, id in ids.items() if id in jobs}

    def cached(self, cache_key: str) -> Job | None:
        """The job whose artifacts are the result of this work; None if there is none."""
        with translated():
            job_id = self._redis.get(key("cache", cache_key))
        return self._jobs.found([job_id.decode()]).get(job_id.decode()) if job_id else None
