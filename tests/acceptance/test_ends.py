"""Cancels, lost workers and shutdowns: every accepted job ends once, and leaves nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System

# Large enough that encoding it well takes many seconds.
LARGE = Video(seconds=14.0, width=1280, height=720, keyframe_seconds=2.0)
CANCEL_SECONDS = 5.0
LONG_CLIP = {
    "kind": "clip",
    "start": 1,
    "end": 13,
    "mode": "encode",
    "output": {"quality": "high"},
}


@pytest.fixture
def quick_system(tmp_path: Path) -> Iterator[System]:
    """One whose leases end soon; its work is done by the real tools."""
    with System(tmp_path / "system", scripted=True, options=["--real", "--quick"]) as running:
        yield running


@pytest.fixture
def large(origin: Origin, media_folder: Path) -> str:
    """The address of a video whose encoding takes long."""
    return origin.add("/large.mp4", answers.file(cached_video(media_folder, LARGE)))


@pytest.fixture
def endless(origin: Origin, media_folder: Path) -> str:
    """The address of a video that comes slowly."""
    video = cached_video(media_folder, LARGE)
    return origin.add("/slow.mp4", answers.slow(video, bytes_per_second=40_000))


def no_files_of_work(system: System) -> bool:
    """Whether no attempt has a folder any more."""
    return not system.attempt_folders()


def stored_files(system: System) -> list[Path]:
    """Every file in storage."""
    return [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]


def cancel(system: System, job_id: str) -> httpx2.Response:
    """Ask for its end."""
    return system.client.post(f"/api/v2/jobs/{job_id}/cancel")


def assert_gone(system: System, job_id: str, tool: str, asked_at: float) -> None:
    """Within five seconds from the cancel its end is recorded and nothing of it is left."""

    def gone() -> bool:
        ended = system.job(job_id)["state"] == "cancelled"
        return ended and no_files_of_work(system) and not system.tools(tool)

    assert eventually(gone, asked_at + CANCEL_SECONDS - time.monotonic())


def test_a_cancelled_download_ends_its_processes_and_leaves_no_file(
    system: System, endless: str
) -> None:
    before = stored_files(system)
    job = system.submit(kind="download", source={"url": endless})
    system.until(job["id"], lambda job: job["progress"] > 0)
    assert system.tools("yt_dlp")
    asked_at = time.monotonic()
    assert cancel(system, job["id"]).status_code == 202
    assert_gone(system, job["id"], "yt_dlp", asked_at)
    assert stored_files(system) == before


def test_a_cancelled_clip_ends_its_processes_and_stays_cancelled(
    system: System, large: str
) -> None:
    before = stored_files(system)
    job = system.submit(**LONG_CLIP, source={"url": large})
    system.until(job["id"], lambda job: job["progress"] > 0 and job["state"] == "running")
    assert system.tools("clip")
    asked_at = time.monotonic()
    assert cancel(system, job["id"]).status_code == 202
    assert_gone(system, job["id"], "clip", asked_at)
    again = cancel(system, job["id"])
    assert again.status_code == 409
    assert again.json()["code"] == "job_already_final"
    assert len(stored_files(system)) == len(before) + 1  # the download's


def test_a_running_job_is_cancelled_twice_and_ends_once(system: System, endless: str) -> None:
    """While its worker has not done it yet, who asks again is told the same."""
    before = stored_files(system)
    job = system.submit(kind="download", source={"url": endless})
    system.until(job["id"], lambda job: job["progress"] > 0)
    system.workers[0].send_signal(signal.SIGSTOP)
    asked_at = time.monotonic()
    try:
        both = [cancel(system, job["id"]) for _ in range(2)]
        assert [(answer.status_code, answer.json()["state"]) for answer in both] == [
            (202, "running"), (202, "running"),
        ]  # fmt: skip
    finally:
        system.workers[0].send_signal(signal.SIGCONT)
    assert_gone(system, job["id"], "yt_dlp", asked_at)
    told = system.client.get(f"/api/v2/jobs/{job['id']}/timeline").json()["events"]
    assert [event["event"] for event in told].count("cancelled") == 1
    assert stored_files(system) == before


def test_cancelling_every_clip_of_a_url_stops_the_download_they_waited_for(
    system: System, endless: str
) -> None:
    batch = system.submit_batch(
        {"start": 0, "end": 1}, {"start": 2, "end": 3}, kind="clip", source={"url": endless}
    )
    download = batch["jobs"][0]["depends_on"]
    system.until(download, lambda job: job["state"] == "running")
    system.client.post(f"/api/v2/batches/{batch['id']}/cancel")
    assert system.until(download, within_seconds=10)["state"] == "cancelled"
    assert system.batch_until_final(batch["id"])["state"] == "cancelled"


def test_a_job_whose_worker_is_killed_runs_again_and_succeeds_once(
    quick_system: System, large: str
) -> None:
    source = quick_system.until(quick_system.submit(kind="download", source={"url": large})["id"])
    job = quick_system.submit(**LONG_CLIP, source={"job_id": source["id"]})
    quick_system.until(job["id"], lambda job: job["progress"] > 0)
    tools = quick_system.tools("clip")
    assert tools
    worker = quick_system.workers[0]
    worker.kill()
    worker.wait()
    assert eventually(lambda: not any(tool.is_running() for tool in tools), 5)
    quick_system.start_worker()
    ended = quick_system.until(job["id"], within_seconds=150)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)
    assert len(stored_files(quick_system)) == 2
    assert eventually(lambda: no_files_of_work(quick_system), 5)


def test_a_worker_told_to_stop_gives_its_jobs_back_with_their_attempt(
    own_system: System, large: str
) -> None:
    source = own_system.until(own_system.submit(kind="download", source={"url": large})["id"])
    job = own_system.submit(**LONG_CLIP, source={"job_id": source["id"]})
    own_system.until(job["id"], lambda job: job["progress"] > 0)
    tools = own_system.tools("clip")
    worker = own_system.workers[0]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert not any(tool.is_running() for tool in tools)
    back = own_system.job(job["id"])
    assert (back["state"], back["attempt"]) == ("queued", 0)
    assert no_files_of_work(own_system)
    own_system.start_worker()
    ended = own_system.until(job["id"], within_seconds=120)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 1)


def test_a_failed_job_can_be_run_again(system: System, origin: Origin, large: str) -> None:
    url = origin.add("/later.mp4", answers.status(404))
    job = system.submit(kind="extract", source={"url": url})
    assert system.until(job["id"])["state"] == "failed"
    origin.add("/later.mp4", answers.redirect(large))
    again = system.client.post(f"/api/v2/jobs/{job['id']}/retry")
    assert again.status_code == 202
    ended = system.until(job["id"])
    assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)


def test_a_source_that_fails_twice_is_tried_a_third_time(
    system: System, origin: Origin, large: str
) -> None:
    busy = answers.status(503)
    url = origin.add("/busy.mp4", busy)
    job = system.submit(kind="extract", source={"url": url})
    waiting = system.until(job["id"], lambda job: job["wait_reason"] == "retry")
    assert waiting["state"] == "queued"
    origin.add("/busy.mp4", answers.redirect(large))
    ended = system.until(job["id"])
    assert ended["state"] == "succeeded"
    assert ended["attempt"] >= 2
