"""Disks that run full under real tools, for real: work waits, and nothing half done is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System
from tests.support.volumes import Volume, small_volume

VIDEO = Video(seconds=16.0, width=640, height=360, keyframe_seconds=8.0)
LEFT_BYTES = 200_000  # less than any result here: the disk runs full in the middle


@dataclass(frozen=True)
class Small:
    """A system with two small disks: one to work on, one for artifacts."""

    system: System
    work: Volume
    artifacts: Volume
    source: str  # a finished download
    url: str

    def files(self) -> list[Path]:
        return [path for path in self.artifacts.path.glob("*/*") if path.is_file()]

    def submit(self, **asked: Any) -> str:
        if asked["kind"] == "download":
            return str(self.system.submit(**asked, source={"url": self.url})["id"])
        return str(self.system.submit(**asked, source={"job_id": self.source})["id"])

    def whys(self, job_id: str) -> list[str]:
        told = self.system.client.get(f"/api/v2/jobs/{job_id}/timeline").json()["events"]
        return [event["why"] for event in told if "why" in event]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, media_folder: Path) -> Iterator[Small]:
    folder = tmp_path_factory.mktemp("disks") / "s"
    with (
        Origin() as origin,
        small_volume(folder / "data" / "work", "40m") as work,
        small_volume(folder / "data" / "artifacts", "40m") as artifacts,
        System(folder, min_free_disk="0", max_download_bytes="30MiB") as system,
    ):
        url = origin.add("/video.mp4", answers.file(cached_video(media_folder, VIDEO)))
        job = system.until(system.submit(kind="download", source={"url": url})["id"])
        assert job["state"] == "succeeded"
        yield Small(system, work, artifacts, job["id"], f"{url}?again")


WORK = {
    "yt-dlp": {"kind": "download"},
    "FFmpeg": {"kind": "clip", "start": 0, "end": 16, "mode": "encode"},
    "the joining program": {"kind": "clip", "start": 1, "end": 16, "mode": "smart"},
}


@pytest.mark.parametrize("name", WORK)
def test_a_tool_whose_disk_runs_full_is_tried_again_when_there_may_be_room(
    small: Small, name: str
) -> None:
    before = {path: path.read_bytes() for path in small.files()}
    ballast = small.work.fill(LEFT_BYTES)
    try:
        job_id = small.submit(**WORK[name])
        back = small.system.until(job_id, lambda job: job["wait_reason"] == "retry" or job["error"])
        assert (back["state"], back["attempt"]) == ("queued", 1), back["error"]
        assert small.whys(job_id) == ["storage_full"]
        assert small.system.attempt_folders() == []
        assert {path: path.read_bytes() for path in small.files()} == before
    finally:
        ballast.unlink()
    job = small.system.until(job_id)
    assert job["state"] == "succeeded", job["error"]
    assert small.system.workers[0].poll() is None


def test_a_result_that_does_not_fit_where_artifacts_are_waits_and_leaves_no_part(
    small: Small,
) -> None:
    """Between two disks, where a rename cannot do."""
    before = {path: path.read_bytes() for path in small.files()}
    ballast = small.artifacts.fill(LEFT_BYTES)
    try:
        job_id = small.submit(**{**WORK["the joining program"], "end": 15.5})
        back = small.system.until(job_id, lambda job: job["wait_reason"] == "retry" or job["error"])
        assert (back["state"], back["attempt"]) == ("queued", 1), back["error"]
        assert small.whys(job_id) == ["storage_full"]
        assert {path: path.read_bytes() for path in small.files()} == before
        assert small.system.attempt_folders() == []
        # What was finished before is served all the same.
        artifact = small.system.job(small.source)["result"]["artifacts"][0]
        content = small.system.client.get(artifact["url"]).content
        assert hashlib.sha256(content).hexdigest() == artifact["sha256"]
    finally:
        ballast.unlink()
    assert small.system.until(job_id)["state"] == "succeeded"


@pytest.mark.parametrize("name", ["yt-dlp", "FFmpeg"])
def test_a_file_larger_than_this_machine_lets_a_file_be_is_told(small: Small, name: str) -> None:
    worker = psutil.Process(small.system.workers[0].pid)
    unlimited = worker.rlimit(psutil.RLIMIT_FSIZE)
    worker.rlimit(psutil.RLIMIT_FSIZE, (LEFT_BYTES, unlimited[1]))
    try:
        asked = {**WORK[name], **({} if name == "yt-dlp" else {"end": 15})}
        if name == "yt-dlp":
            asked["quality"] = "worst"  # another download than before
        job_id = small.submit(**asked)
        job = small.system.until(job_id)
        assert (job["state"], job["error"]["code"]) == ("failed", "too_large")
        assert small.system.workers[0].poll() is None
        assert eventually(lambda: small.system.attempt_folders() == [], 10)
    finally:
        worker.rlimit(psutil.RLIMIT_FSIZE, unlimited)
