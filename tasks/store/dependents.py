"""Who waits for whom, and what is still to follow from the end of a job."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import TO_RELEASE, UNNEEDED, key


class Dependents(StorePart):
    """Jobs that wait for another, and jobs whose end they are still to be told."""

    def any_of(self, job_id: str) -> bool:
        """Whether a job that is not final takes this one as its source."""
        with translated():
            return bool(self._redis.exists(key("dependents", job_id)))

    def of(self, job_id: str) -> list[str]:
        """Jobs, not final, whose source is this job."""
        with translated():
            return sorted(item.decode() for item in self._redis.smembers(key("dependents", job_id)))

    def to_release(self, limit: int = 100) -> list[str]:
        """Final jobs whose dependents are still to be released."""
        with translated():
            return [item.decode() for item in self._redis.srandmember(TO_RELEASE, limit)]

    def unneeded_downloads(self, limit: int = 100) -> list[str]:
        """Downloads that we made for clips, not final, that no clip needs."""
        with translated():
            return [item.decode() for item in self._redis.srandmember(UNNEEDED, limit)]

    def released(self, job_id: str) -> None:
        """Forget that dependents are to be released, unless more have come meanwhile."""
        self._run("dependents_released", [key("job", job_id)], job_id)
