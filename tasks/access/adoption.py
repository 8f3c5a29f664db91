"""Gives the jobs that were made without a key to a key."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from config.api_keys import LOCAL
from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, NotFound, Unreadable
from tasks.job import Job
from tasks.record import record_of
from tasks.store import Store
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key
from tasks.store.packing import packed, packed_text

_CHUNK = 200


@dataclass(frozen=True)
class Adopted:
    """How many jobs were given, and how many could not be: they run, or changed meanwhile."""

    adopted: int
    left: int


class Adoption(StorePart):
    """Moves jobs from the owner of requests without a key to another owner."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.connection)
        self._store = store

    def adopt(self, owner: str) -> Adopted:
        """Give all jobs made without a key, and their files, to this owner. May be asked again."""
        adopted, left, cursor = 0, 0, "-"
        while ids := self._ids_after(cursor):
            cursor = f"({ids[-1]}"
            moved = sum(self._adopt(job_id, owner) for job_id in ids)
            adopted, left = adopted + moved, left + len(ids) - moved
        return Adopted(adopted, left)

    def _ids_after(self, cursor: str) -> list[str]:
        with translated():
            name = key("index", "owner", LOCAL)
            found = self._redis.zrangebylex(name, cursor, "+", start=0, num=_CHUNK)
        return [item.decode() for item in found]

    def _adopt(self, job_id: str, owner: str) -> bool:
        try:
            job, revision = self._store.jobs.get_with_revision(job_id)
        except (NotFound, Unreadable):
            return False
        fingerprint = job.spec.fingerprint(owner) if job.fingerprint else None
        mine = replace(job, owner=owner, fingerprint=fingerprint)
        text = json.dumps(record_of(mine))
        record = packed(text.encode()) if mine.state.final else text
        metas = [part for item in self._artifacts(job) for part in _meta(item, owner)]
        args = (job_id, revision, owner, record, fingerprint or "", *metas)
        return bool(self._run("adopt", [key("job", job_id)], *args) == b"ok")

    def _artifacts(self, job: Job) -> list[StoredArtifact]:
        found = []
        for item in job.result.artifacts if job.result else ():
            try:
                found.append(self._store.artifacts.get(item.id))
            except (NotFound, ArtifactExpired):
                continue  # nobody can fetch it any more
        return found


def _meta(artifact: StoredArtifact, owner: str) -> tuple[str, str]:
    mine = replace(artifact, owner=owner)
    return artifact.id, packed_text(json.dumps(mine.to_dict()))
