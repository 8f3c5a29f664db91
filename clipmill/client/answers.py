"""The answers of the API as frozen values; `document` is the JSON as it came.

Unknown fields are ignored and absent fields get an empty value, so that the answers of a newer
API, and the brief form of a job, can be read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

JOB_FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})
BATCH_FINAL_STATES = JOB_FINAL_STATES | {"partial"}

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Artifact:
    """One finished file of a job."""

    name: str
    role: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str
    document: Document = field(repr=False, default_factory=dict)

    @classmethod
    def read(cls, document: Document) -> Self:
        return cls(
            name=str(document["name"]),
            role=str(document.get("role", "main")),
            media_type=str(document.get("media_type", "")),
            size_bytes=int(document["size_bytes"]),
            sha256=str(document["sha256"]),
            url=str(document["url"]),
            document=document,
        )


@dataclass(frozen=True)
class Upload:
    """A file that was sent; `media` says what it holds, None until it is checked."""

    id: str
    filename: str
    size_bytes: int
    state: str
    media: Document | None = None
    document: Document = field(repr=False, default_factory=dict)

    @classmethod
    def read(cls, document: Document) -> Self:
        return cls(
            id=str(document["id"]),
            filename=str(document.get("filename", "")),
            size_bytes=int(document.get("size_bytes", 0)),
            state=str(document.get("state", "")),
            media=document.get("media"),
            document=document,
        )

    @property
    def source(self) -> Mapping[str, str]:
        """The upload as the `source` of a job."""
        return {"upload_id": self.id}


@dataclass(frozen=True)
class JobFailure:
    """Why a job failed."""

    code: str
    message: str
    retryable: bool
    detail: Any = None

    @classmethod
    def read(cls, document: Document) -> Self:
        return cls(
            code=str(document.get("code", "")),
            message=str(document.get("message", "")),
            retryable=bool(document.get("retryable", False)),
            detail=document.get("detail"),
        )


@dataclass(frozen=True)
class Job:
    """One job as the API reported it."""

    id: str
    kind: str
    state: str
    phase: str | None = None
    wait_reason: str | None = None
    progress: float = 0.0
    speed: float | None = None
    eta_seconds: float | None = None
    attempt: int = 0
    max_attempts: int = 0
    batch_id: str | None = None
    external_id: str | None = None
    created_at: str = ""
    queue_seconds: float | None = None
    run_seconds: float | None = None
    spec: Document = field(default_factory=dict)
    result: Document = field(default_factory=dict)
    error: JobFailure | None = None
    document: Document = field(repr=False, default_factory=dict)

    @classmethod
    def read(cls, document: Document) -> Self:
        error = document.get("error")
        plain = {
            name: document[name]
            for name in cls.__dataclass_fields__
            if name not in {"error", "document"} and document.get(name) is not None
        }
        return cls(**plain, error=JobFailure.read(error) if error else None, document=document)

    @property
    def is_final(self) -> bool:
        return self.state in JOB_FINAL_STATES

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"

    @property
    def artifacts(self) -> list[Artifact]:
        """The files of a job that succeeded, the main file first; else none."""
        found = [Artifact.read(item) for item in self.result.get("artifacts", ())]
        return sorted(found, key=lambda artifact: artifact.role != "main")


@dataclass(frozen=True)
class Batch:
    """Jobs that were submitted together."""

    id: str
    state: str
    counts: Mapping[str, int]
    progress: float
    created_at: str
    finished_at: str | None
    jobs: tuple[Job, ...]
    document: Document = field(repr=False, default_factory=dict)

    @classmethod
    def read(cls, document: Document) -> Self:
        return cls(
            id=str(document["id"]),
            state=str(document["state"]),
            counts=dict(document.get("counts") or {}),
            progress=float(document.get("progress") or 0.0),
            created_at=str(document.get("created_at") or ""),
            finished_at=document.get("finished_at"),
            jobs=tuple(Job.read(item) for item in document.get("jobs") or ()),
            document=document,
        )

    @property
    def is_final(self) -> bool:
        return self.state in BATCH_FINAL_STATES

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"
