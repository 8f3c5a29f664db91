"""Which job waits for which, and what is still to follow from the end of a job."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import TO_RELEASE, UNNEEDED, key


class Dependents(StorePart):
    """Jobs that wait for another job, and final jobs whose dependents are still waiting."""

    def any_of(self, job_id: str) -> bool:
        """Whether a job that is not final depends on this job."""
        with translated():
            return bool(self._redis.exists(key("dependents", job_id)))

    def of(self, job_id: str) -> list[str]:
        """Jobs, not final, that depend on this job."""
        with translated():
            return sorted(item.decode() for item in self._redis.smembers(key("dependents", job_id)))

    def to_release(self, limit: int = 100) -> list[str]:
        """Final jobs whose dependents are still to be released."""
        with translated():
            return [item.decode() for item in self._redis.srandmember(TO_RELEASE, limit)]

    def unneeded_downloads(self, limit: int = 100) -> list[str]:
        """Downloads, not final, that were made for clips and that no clip needs any more."""
        with translated():
            return [item.decode() for item in self._redis.srandmember(UNNEEDED, limit)]

    def released(self, job_id: str) -> None:
        """Record that the dependents of a job are released, unless more were added meanwhile."""
        self._run("dependents_released", [key("job", job_id)], job_id)
