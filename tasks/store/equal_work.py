"""Equal work runs once: who does the work of a name, and what answers it from storage."""

from __future__ import annotations

from tasks.errors import NotFound
from tasks.job import Job
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.jobs import JobRecords
from tasks.store.keys import key


class EqualWork(StorePart):
    """Names of work, each pointing to the job that does it or has done it."""

    def __init__(self, connection: Connection, jobs: JobRecords) -> None:
        super().__init__(connection)
        self._jobs = jobs

    def leader(self, flight: str) -> Job | None:
        """The job that does, or has done, the work of this name."""
        return self._pointed("flight", flight)

    def end(self, flight: str, job_id: str) -> None:
        """Let equal work be done anew from now on, if it is this job that it would follow."""
        self._run("end_flight", [key("flight", flight)], job_id)

    def cached(self, cache_key: str) -> Job | None:
        """The job whose artifacts answer this work."""
        return self._pointed("cache", cache_key)

    def _pointed(self, space: str, name: str) -> Job | None:
        with translated():
            job_id = self._redis.get(key(space, name))
        if job_id is None:
            return None
        try:
            return self._jobs.get(job_id.decode())
        except NotFound:
            return None
