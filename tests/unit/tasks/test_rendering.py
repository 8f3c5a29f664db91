"""The public JSON of a job, whole: what clients read, and what must not change under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.artifact import StoredArtifact
from tasks.job import Failure, Job, JobState
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.rendering import render_job
from tasks.specs import Output, Source, Spec
from worker.engine.publishing import Artifacts
from worker.engine.usage import Usage

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


def artifact(number: int, role: str, name: str, media_type: str, media: bool) -> StoredArtifact:
    id_ = f"01KAV3J7EV00000000000000A{number}"
    facts = FACTS.to_dict() if media else None
    return StoredArtifact(
        id_, ID, "ann", f"01/{id_}", name, media_type, 1234, "ab" * 32, role, facts
    )


VIDEO = artifact(1, "main", "title.mp4", "video/mp4", True)
CLIP = artifact(1, "main", "title 1-4.mp4", "video/mp4", True)
PICTURE = artifact(2, "thumbnail", "title 1-4.jpg", "image/jpeg", False)
INFO = {"title": "a page", "duration_seconds": 1.5, "formats": []}
ORIGIN = {
    "title": "title", "uploader": None, "duration_seconds": 15.0,
    "webpage_url": "https://media.example/v", "extractor": "generic",
}  # fmt: skip
CUT = {
    "mode": "smart", "mode_reason": "exact", "requested_start": 1.0, "requested_end": 4.0,
    "actual_start": 1.0, "actual_end": 4.0, "frames": 75, "frames_encoded": 5,
    "frames_copied": 70,
}  # fmt: skip
JOBS = {
    "extract": ended(
        ExtractSpec(SITE),
        result=Artifacts([], True, {"info": INFO}, [], None).result(Usage(50, 100)),
    ),
    "download": ended(
        DownloadSpec(SITE, "720p"),
        external_id="mine", metadata={"a": "b"},
        result=Artifacts(
            [VIDEO], True, {"source": ORIGIN, "deduplicated": False}, ["one warning"], "k"
        ).result(Usage(50, 100)),
    ),
    "clip": ended(
        ClipSpec(SITE, 1.0, 4.0, output=Output(thumbnail=True)),
        batch_id="01KAV3J7EV0000000000000009", depends_on=SOURCE_ID,
        result=Artifacts([CLIP, PICTURE], True, CUT, ["w"], "k").result(),
    ),
    "failed": ended(
        ClipSpec(Source(job_id=SOURCE_ID), 1.0, 4.0, "copy"),
        state=JobState.FAILED, depends_on=SOURCE_ID,
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
