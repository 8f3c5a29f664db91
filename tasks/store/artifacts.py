"""The records of artifacts: finding them, recording their use, and expiring them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, NotFound
from tasks.ids import is_id
from tasks.result import known
from tasks.store.connection import StorePart, translated
from tasks.store.keys import ARTIFACTS, TOTALS, key
from tasks.store.packing import unpacked_text


def artifact_of(meta: bytes) -> StoredArtifact:
    """The artifact from the field of its hash; what a newer version added is left out."""
    return known(StoredArtifact, json.loads(unpacked_text(meta)))


class Artifacts(StorePart):
    """The records of artifacts."""

    def get(self, artifact_id: str, owner: str | None = None) -> StoredArtifact:
        """An artifact by its id. Raises NotFound, or ArtifactExpired when its file is gone."""
        if is_id(artifact_id):
            with translated():
                meta, expired = self._redis.hmget(key("artifact", artifact_id), "meta", "expired")
            if meta is not None:
                artifact = artifact_of(meta)
                if owner in (None, artifact.owner):
                    if expired:
                        raise ArtifactExpired("the file is no longer kept")
                    return artifact
        raise NotFound("there is no such artifact")

    def used(self, artifact_id: str) -> None:
        """Record that the file is used now."""
        self._run("use", [ARTIFACTS], artifact_id)

    def by_use(self, unused_since: float, offset: int = 0, limit: int = 100) -> Sequence[str]:
        """Artifacts without a use after `unused_since`, the longest unused first."""
        with translated():
            found = self._redis.zrangebyscore(
                ARTIFACTS, "-inf", unused_since, start=offset, num=limit
            )
        return [item.decode() for item in found]

    def total_bytes(self) -> int:
        """The size of all artifacts together."""
        with translated():
            return int(float(self._redis.hget(TOTALS, "artifact_bytes") or 0))

    def expire(self, artifact_id: str, unused_since: float) -> StoredArtifact | None:
        """Expire an artifact; the caller deletes its file. None when it is in use or was used."""
        status, *meta = self._run("expire", [], artifact_id, unused_since)
        return artifact_of(meta[0]) if status == b"ok" else None

    def lost(self, artifact_id: str) -> None:
        """Record that a file was removed or replaced from outside; equal work runs again."""
        self._run("expire", [], artifact_id, "lost")

    def with_files(self, artifact_ids: Sequence[str]) -> set[str]:
        """Those of the ids that belong to artifacts with a file."""
        with translated():
            scores = self._redis.zmscore(ARTIFACTS, list(artifact_ids)) if artifact_ids else []
        return {item for item, score in zip(artifact_ids, scores, strict=True) if score is not None}
