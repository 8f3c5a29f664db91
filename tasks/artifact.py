"""A published file as the store keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StoredArtifact:
    """A published file. `storage_key` names it in storage, `filename` is the name for clients."""

    id: str
    job_id: str
    owner: str
    storage_key: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    role: str
    facts: dict[str, Any] | None = None  # MediaFacts as a dict; None for a file that is not media

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)
