"""Three hundred jobs of mixed kinds: all end, and every count tells the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.numbers import differences, real_numbers, told_numbers
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System

SHORT = Video(seconds=3.0, keyframe_seconds=1.0)
DOWNLOADS = 8
CLIPS = 272
EXTRACTS = 10
BROKEN = 10
ENDS = {
    ("download", "succeeded"): DOWNLOADS,
    ("clip", "succeeded"): CLIPS - 1,
    ("clip", "cancelled"): 1,
    ("extract", "succeeded"): EXTRACTS - 1,
    ("extract", "failed"): BROKEN - 1,
    ("extract", "cancelled"): 2,
}
# State, attempt and the code of the error.
TOLD = {("succeeded", 1, None), ("failed", 1, "unavailable")}


def test_three_hundred_mixed_jobs_end_and_all_counts_agree(
    own_system: System, origin: Origin, media_folder: Path
) -> None:
    video = cached_video(media_folder, SHORT)
    good = [origin.add(f"/good{n}.mp4", answers.file(video)) for n in range(DOWNLOADS)]
    gone = origin.add("/gone.mp4", answers.status(404))
    jobs = [job["id"] for body in mixed(good, gone) for job in [own_system.submit(**body)]]
    assert len(jobs) == DOWNLOADS + CLIPS + EXTRACTS + BROKEN
    # The last of the clips, of the good extracts and of the broken ones: all of them still wait.
    for job_id in (jobs[DOWNLOADS + CLIPS - 1], jobs[-BROKEN - 1], jobs[-1]):
        assert own_system.client.post(f"/api/v2/jobs/{job_id}/cancel").status_code == 202
    records = {job_id: own_system.until(job_id, within_seconds=400) for job_id in jobs}
    assert Counter((job["kind"], job["state"]) for job in records.values()) == ENDS
    assert {told_of(job) for job in records.values() if job["state"] != "cancelled"} == TOLD

    assert {job["id"]: job for job in listed(own_system)} == records
    assert_numbers_agree(own_system, records)
    assert_artifacts_agree(own_system, list(records.values()))
    assert eventually(lambda: not own_system.attempt_folders(), 5)
    assert own_system.tools("") == []


def mixed(good: list[str], gone: str) -> list[dict[str, Any]]:
    """The requests: downloads first, then clips of them, extracts, and those that must fail."""
    downloads = [{"kind": "download", "source": {"url": url}} for url in good]
    clips = [
        {
            "kind": "clip",
            "source": {"url": good[n % len(good)]},
            "start": n % 20 / 10,
            "end": n % 20 / 10 + 0.2 + n % 3 / 10,
            "mode": ("auto", "smart", "copy", "encode")[n % 4],
        }
        for n in range(CLIPS)
    ]
    extracts = [
        {"kind": "extract", "source": {"url": good[n % len(good)]}} for n in range(EXTRACTS)
    ]
    broken = [{"kind": "extract", "source": {"url": f"{gone}?{n}"}} for n in range(BROKEN)]
    return [*downloads, *clips, *extracts, *broken]


def listed(system: System) -> list[dict[str, Any]]:
    """Every job, page by page."""
    jobs: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = system.client.get("/api/v2/jobs", params=query).json()
        jobs += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return jobs


def told_of(job: dict[str, Any]) -> tuple[Any, ...]:
    """How a job ended."""
    return job["state"], job["attempt"], job["error"] and job["error"]["code"]


def assert_numbers_agree(system: System, records: dict[str, dict[str, Any]]) -> None:
    """All that the metrics count is what the records and their stories tell."""
    stories = {
        job_id: system.client.get(f"/api/v2/jobs/{job_id}/timeline").json()["events"]
        for job_id in records
    }
    real = real_numbers(records, stories)
    real["clipmill_workers",] = 1
    files = [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]
    real["clipmill_artifact_bytes",] = sum(path.stat().st_size for path in files)

    def faults() -> list[str]:
        return differences(told_numbers(system.client.get("/metrics").text), real)

    # What a worker holds is in its next report.
    assert eventually(lambda: not faults(), 15, every_seconds=0.25), faults()


def assert_artifacts_agree(system: System, jobs: list[dict[str, Any]]) -> None:
    """Each artifact of a record is one whole file, and no other file is there."""
    shown = {
        item["id"]: item
        for job in jobs
        if job["state"] == "succeeded"
        for item in job["result"]["artifacts"]
    }
    files = {path.stem: path for path in (system.data / "artifacts").rglob("*") if path.is_file()}
    assert files.keys() == shown.keys()
    for artifact_id, path in files.items():
        assert path.stat().st_size == shown[artifact_id]["size_bytes"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shown[artifact_id]["sha256"]
