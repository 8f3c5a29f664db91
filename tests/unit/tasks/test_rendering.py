"""The public JSON of a job, whole: what clients read, and what must not change under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.artifact import StoredArtifact
from tasks.job import Failure, Job, JobState
from tasks.kinds import (
    ClipResult,
    ClipSpec,
    DownloadResult,
    DownloadSpec,
    ExtractResult,
    ExtractSpec,
    Origin,
    Verification,
)
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.rendering import render_job
from tasks.result import ArtifactRef
from tasks.specs import Output, Source, Spec

DOCUMENTS = Path(__file__).parent / "documents"
NOW = 1764000000.25
ID = "01KAV3J7EV0000000000000001"
SOURCE_ID = "01KAV3J7EV0000000000000002"
SITE = Source(url="https://media.example/v")
FACTS = MediaFacts(
    "mov,mp4,m4a,3gp,3g2,mj2", 0.0, 15.0, 1234,
    VideoFacts("h264", "High", 1920, 1080, "yuv420p", 8, 25.0), (AudioFacts("aac", 48000, 2),),
)  # fmt: skip


def ended(spec: Spec, **values: Any) -> Job:
    defaults: dict[str, Any] = {
        "id": ID, "owner": "ann", "created_at": NOW, "queued_at": NOW, "progress": 1.0,
        "state": JobState.SUCCEEDED, "attempt": 1, "started_at": NOW + 1, "finished_at": NOW + 3.5,
    }  # fmt: skip
    return Job(spec=spec, **{**defaults, **values})


def artifact(number: int, role: str, name: str, media_type: str, media: bool) -> ArtifactRef:
    id_ = f"01KAV3J7EV00000000000000A{number}"
    facts = FACTS.to_dict() if media else None
    return ArtifactRef.of(
        StoredArtifact(id_, ID, "ann", f"01/{id_}", name, media_type, 1234, "ab" * 32, role, facts)
    )


VIDEO = artifact(1, "main", "title.mp4", "video/mp4", True)
CLIP = artifact(1, "main", "title 1-4.mp4", "video/mp4", True)
PICTURE = artifact(2, "thumbnail", "title 1-4.jpg", "image/jpeg", False)
INFO = {"title": "a page", "duration_seconds": 1.5, "formats": []}
ORIGIN = Origin("title", None, 15.0, "https://media.example/v", "generic")
USED: dict[str, Any] = {
    "peak_memory_bytes": 50, "estimated_memory_bytes": 100, "memory_ratio": 0.5,
}  # fmt: skip
CUT = ClipResult(
    artifacts=(CLIP, PICTURE), warnings=("w",), mode="smart", mode_reason="exact",
    requested_start=1.0, requested_end=4.0, actual_start=1.0, actual_end=4.0,
    frames=75, frames_encoded=5, frames_copied=70,
    verification=Verification(75, 75, 9, 44.5, 0.0, 0),
)  # fmt: skip
JOBS = {
    "extract": ended(
        ExtractSpec(SITE),
        result=ExtractResult(info=INFO, **USED),
    ),
    "download": ended(
        DownloadSpec(SITE, "720p", "mp4"),
        external_id="mine", metadata={"a": "b"},
        result=DownloadResult(
            artifacts=(VIDEO,), warnings=("one warning",), source=ORIGIN, **USED
        ),
    ),
    "clip": ended(
        ClipSpec(SITE, 1.0, 4.0, output=Output(thumbnail=True)),
        batch_id="01KAV3J7EV0000000000000009", depends_on=(SOURCE_ID,),
        result=CUT,
    ),
    "failed": ended(
        ClipSpec(Source(job_id=SOURCE_ID), 1.0, 4.0, "copy"),
        state=JobState.FAILED, depends_on=(SOURCE_ID,),
        error=Failure(
            "range_outside_media", "the range is outside", False, {"duration_seconds": 3.0}
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_shown_as_ever(name: str) -> None:
    expected = json.loads((DOCUMENTS / f"{name}.json").read_text())
    seen = json.loads(render_job(JOBS[name]))
    assert seen == expected
    assert list(seen) == list(expected)
    if expected["result"]:
        assert list(seen["result"]) == list(expected["result"])
