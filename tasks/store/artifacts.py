"""Published files: finding them, noting their use, and giving up what nobody uses."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, NotFound
from tasks.ids import is_id
from tasks.store.connection import StorePart, translated
from tasks.store.keys import ARTIFACTS, TOTALS, key


class Artifacts(StorePart):
    """The records of files in storage."""

    def get(self, artifact_id: str, owner: str | None = None) -> StoredArtifact:
        """A published file by its id. Raises NotFound, or ArtifactExpired when it was given up."""
        if is_id(artifact_id):
            with translated():
                meta, expired = self._redis.hmget(key("artifact", artifact_id), "meta", "expired")
            if meta is not None:
                artifact = StoredArtifact(**json.loads(meta))
                if owner in (None, artifact.owner):
                    if expired:
                        raise ArtifactExpired("the file is no longer kept")
                    return artifact
        raise NotFound("there is no such artifact")

    def used(self, artifact_id: str) -> None:
        """Somebody has used the file just now."""
        self._run("use", [ARTIFACTS], artifact_id)

    def by_use(self, unused_since: float, offset: int = 0, limit: int = 100) -> Sequence[str]:
        """Artifacts that were not used since then, the longest unused first."""
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
        """Give up a file; None when it is in use or was used since. The file itself is to go."""
        status, *meta = self._run("expire", [], artifact_id, unused_since)
        return StoredArtifact(**json.loads(meta[0])) if status == b"ok" else None

    def lost(self, artifact_id: str) -> None:
        """The file is gone, or is another's, without our doing; equal work is done anew."""
        self._run("expire", [], artifact_id, "lost")

    def with_files(self, artifact_ids: Sequence[str]) -> set[str]:
        """Those that are the names of artifacts with a file."""
        with translated():
            scores = self._redis.zmscore(ARTIFACTS, list(artifact_ids)) if artifact_ids else []
        return {item for item, score in zip(artifact_ids, scores, strict=True) if score is not None}
