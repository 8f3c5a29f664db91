"""Each job may use what it reserved: who takes more is stopped, and nobody beside it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.scales import Scales
from tests.support.system import System

MIB = 1024**2
BUDGET = 256 * MIB
SOURCE = Video(seconds=4.0, width=1280, height=720, keyframe_seconds=0.8)
GUILTY = {"metadata": {"misjudged": "10"}}


class MisjudgingSystem(System):
    """Its worker expects far too little of some jobs (tests/support/misjudging_worker.py)."""

    def start_worker(self, *words: str, redis_url: str | None = None) -> subprocess.Popen[bytes]:
        program = ["-m", "tests.support.misjudging_worker", *words]
        worker = self._start("worker", program, redis_url)
        self.workers.append(worker)
        return worker

    def timeline(self, job_id: str) -> list[dict[str, Any]]:
        """The story of a job."""
        answer = self.client.get(f"/api/v2/jobs/{job_id}/timeline")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["events"])


@pytest.fixture(scope="module")
def misjudging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MisjudgingSystem]:
    settings = {"memory_budget": f"{BUDGET // MIB}MiB", "worker_concurrency": "8"}
    folder = tmp_path_factory.mktemp("misjudging") / "system"
    with MisjudgingSystem(folder, **settings) as system:
        yield system


def test_of_sixteen_jobs_only_the_ten_are_stopped_that_were_misjudged(
    misjudging: MisjudgingSystem, origin: Origin, media_folder: Path
) -> None:
    source = origin.add("/video.mp4", answers.file(cached_video(media_folder, SOURCE)))
    download = misjudging.submit(kind="download", source={"url": source})
    misjudging.until(download["id"])
    ways: list[dict[str, Any]] = [
        {"mode": "encode", **GUILTY},
        {"mode": "encode"},
        {"mode": "smart", **GUILTY},
        {"mode": "smart"},
        {"mode": "encode", "output": {"width": 640}, **GUILTY},
        {"mode": "copy", **GUILTY},
        {"mode": "encode", "output": {"width": 640}},
        {"mode": "copy"},
        {"mode": "encode", "output": {"container": "gif"}, **GUILTY},
        {"mode": "smart", "output": {"thumbnail": True}, **GUILTY},
        {"mode": "encode", "output": {"thumbnail": True}},
        {"mode": "encode", "output": {"quality": "draft"}, **GUILTY},
        {"mode": "copy", "output": {"container": "mkv"}, **GUILTY},
        {"mode": "encode", "output": {"container": "mkv"}, **GUILTY},
        {"mode": "copy", "output": {"container": "mkv"}},
        {"mode": "encode", "output": {"fps": 10}, **GUILTY},
    ]
    asked = [{**way, "start": 0.5 + n / 10, "end": 2.5 + n / 10} for n, way in enumerate(ways)]
    with Scales(misjudging.workers[0].pid) as scales:
        batch = misjudging.submit_batch(*asked, kind="clip", source={"job_id": download["id"]})
        done = misjudging.batch_until_final(batch["id"])
    jobs = {job["id"]: job for job in done["jobs"]}
    guilty = {it["id"] for it in batch["jobs"] if it["metadata"]}
    assert len(guilty) == 10
    for job_id, job in jobs.items():
        assert job["state"] == "succeeded", job
        story = misjudging.timeline(job_id)
        stopped = [it for it in story if it.get("why") == "memory_exceeded"]
        assert bool(stopped) is (job_id in guilty), (job, story)
        assert job["attempt"] == 1 + len(stopped)
    scales.check(BUDGET)


def test_a_clip_that_cannot_be_joined_reserves_its_whole_encode_before_it_begins(
    misjudging: MisjudgingSystem, origin: Origin, media_folder: Path
) -> None:
    """Its sources' pictures all lean on those around them, so that nothing can be copied."""
    leaning = replace(SOURCE, options=("-x264-params", "keyint=250:min-keyint=250:open-gop=1"))
    source = origin.add("/leaning.mp4", answers.file(cached_video(media_folder, leaning)))
    job = misjudging.until(
        misjudging.submit(kind="clip", source={"url": source}, start=0.5, end=2.5, mode="smart")[
            "id"
        ]
    )
    assert (job["state"], job["attempt"]) == ("succeeded", 1), job
    assert job["result"]["mode"] == "encode"
    assert "keyframe" in job["result"]["mode_reason"]
    # (a smart cut of this picture is expected to take 75 MB, and its encode did take 110)
    assert job["result"]["estimated_memory_bytes"] > 100 * MIB
    phases = [it["phase"] for it in misjudging.timeline(job["id"]) if it["event"] == "phase"]
    assert phases == ["cutting", "encoding", "storing"]
