"""Jobs that were set aside: a newer version of Clipmill wrote them, and this one cannot read them.

They keep their state and hide nothing. A worker that can read such a job takes it.
"""

from __future__ import annotations

import json
import secrets

from tasks.job import Job, JobState
from tasks.kinds import KINDS
from tasks.record import job_of, readable
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key
from tasks.store.values import Lease

_AT_ONCE = 100


class Aside(StorePart):
    """Jobs that were set aside."""

    def put(self, job_id: str, token: str = "") -> bool:
        """Set a job aside that the caller holds by `token`, or that no worker holds any more.

        False when another worker has it, or had it done meanwhile.
        """
        return bool(self._run("set_aside", [key("job", job_id)], job_id, token))

    def lease(self, kind: str, lease_seconds: float) -> Lease | None:
        """A queued job of the kind that this version can read, under a new lease; else None."""
        for job in self._readable(kind):
            token = secrets.token_hex(8)
            taken = self._run("lease_aside", [key("job", job.id)], job.id, token, lease_seconds)
            if taken is not None:
                return Lease(job_of(json.loads(taken)), token)
        return None

    def lost(self) -> list[str]:
        """Jobs that this version can read and whose worker was lost while it could not."""
        found = (job for kind in KINDS for job in self._readable(kind))
        return [job.id for job in found if job.state is JobState.RUNNING]

    def _readable(self, kind: str) -> list[Job]:
        with translated():
            # Any of them, so that those of a still newer version hide none.
            ids = [item.decode() for item in self._redis.zrandmember(_of(kind), _AT_ONCE)]
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipeline.hget(key("job", job_id), "record")
            jobs = [readable(record) for record in pipeline.execute() if record is not None]
        return [job for job in jobs if job is not None]

    def count(self, kind: str) -> int:
        """How many jobs of the kind are set aside."""
        with translated():
            return int(self._redis.zcard(_of(kind)))

    def total(self) -> int:
        """How many jobs of all kinds that this version knows are set aside."""
        return sum(map(self.count, KINDS))


def _of(kind: str) -> str:
    return key("aside", kind)
