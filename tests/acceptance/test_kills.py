"""One process of a job is killed: its tool, its guard, or its worker at the worst of moments."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.records import Records, new_id
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
LARGE = Video(seconds=16.0, width=640, height=360, keyframe_seconds=8.0)
CLIP = {"kind": "clip", "start": 1}
OFTEN = 0.005  # seconds between looks, to meet a short moment
STALL = 10_000  # milliseconds; longer than it takes to end a worker
BYTES = 60_000_000  # takes long enough to read that one can step in between


def stored(system: System) -> list[Path]:
    return [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]


def whys(system: System, job_id: str) -> list[str]:
    told = system.client.get(f"/api/v2/jobs/{job_id}/timeline").json()["events"]
    return [event["why"] for event in told if "why" in event]


def itself(tool: psutil.Process) -> psutil.Process:
    return tool


def its_guard(tool: psutil.Process) -> psutil.Process:
    guard = tool.parent()
    assert guard is not None
    assert "worker.process.guard" in " ".join(guard.cmdline())
    return guard


def by_itself(asked: dict[str, Any], victim: object) -> dict[str, Any]:
    """A clip that nobody has asked for yet: an equal one would be answered from storage."""
    return {"end": 14 if victim is itself else 15} if asked["kind"] == "clip" else {}


@pytest.mark.parametrize(
    ("victim", "asked", "word"),
    [
        (itself, {"kind": "download"}, "yt_dlp"),
        (itself, {**CLIP, "mode": "encode"}, "ffmpeg"),
        (its_guard, {**CLIP, "mode": "encode"}, "ffmpeg"),
        (itself, {**CLIP, "mode": "smart"}, "worker.pyav.cut"),
    ],
    ids=["yt-dlp", "FFmpeg", "FFmpeg's guard", "the joining program"],
)
def test_a_killed_tool_or_guard_is_tried_again_and_the_worker_lives(
    system: System,
    origin: Origin,
    media_folder: Path,
    victim: Callable[[psutil.Process], psutil.Process],
    asked: dict[str, Any],
    word: str,
) -> None:
    video = cached_video(media_folder, LARGE)
    if asked["kind"] == "download":
        source = {"url": origin.add("/slow.mp4", answers.slow(video, 300_000))}
    else:
        url = origin.add(f"/{word}.mp4", answers.file(video))
        download = system.submit(kind="download", source={"url": url})
        source = {"job_id": system.until(download["id"])["id"]}
    pid = system.workers[0].pid
    job_id = system.submit(**asked, source=source, **by_itself(asked, victim))["id"]
    assert eventually(lambda: system.tools(word), 30)
    tool = system.tools(word)[0]
    victim(tool).kill()
    back = system.until(job_id, lambda job: job["wait_reason"] == "retry" or job["error"])
    assert (back["state"], back["attempt"]) == ("queued", 1), back
    assert whys(system, job_id) == ["tool_failed"]
    assert not tool.is_running()
    assert system.attempt_folders() == []
    if asked["kind"] == "download":
        origin.add("/slow.mp4", answers.file(video))
    ended = system.until(job_id)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)
    assert (system.workers[0].pid, system.workers[0].poll()) == (pid, None)


def submit(system: System, name: str, **asked: object) -> str:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    return str(system.submit(kind="download", source={"url": f"{SITE}/{name}?{query}"})["id"])


def phase_of(system: System, job_id: str) -> Any:
    return system.job(job_id)["phase"]


def kill_worker(system: System) -> None:
    system.workers[-1].kill()
    system.workers[-1].wait()


def nothing_stray(system: System, jobs: int) -> None:
    assert len(stored(system)) == jobs, stored(system)
    assert eventually(lambda: system.attempt_folders() == [], 10)
    with system.valkey.client() as client:
        assert client.zcard("clipmill:leases") == 0


def test_a_worker_killed_between_the_file_and_its_record_leaves_one_file(tmp_path: Path) -> None:
    with (
        System(tmp_path / "s", scripted=True, options=["--quick"]) as system,
        system.valkey.client() as client,
    ):
        jobs = 0
        for _ in range(2):
            job_id, tried = met_while_storing(system)
            jobs += tried
            client.client_pause(STALL, all=False)  # its last write cannot come through any more
            before = len(stored(system))
            assert eventually(
                lambda before=before: [p for p in stored(system) if p.suffix != ".part"][before:], 9
            )
            kill_worker(system)
            client.client_unpause()
            assert system.job(job_id)["state"] == "running"
            system.start_worker()
            job = system.until(job_id)
            assert (job["state"], job["attempt"]) == ("succeeded", 2)
            nothing_stray(system, jobs)


def met_while_storing(system: System) -> tuple[str, int]:
    """A job that stores its file now, and how many were tried: a busy machine may miss some."""
    for number in range(1, 6):
        job_id = submit(system, f"job{new_id()}", bytes=BYTES)

        def past_work(job_id: str = job_id) -> bool:
            return phase_of(system, job_id) == "storing" or bool(system.job(job_id)["finished_at"])

        assert eventually(past_work, 30, OFTEN, seldom_seconds=OFTEN)
        if phase_of(system, job_id) == "storing":
            return job_id, number
    raise AssertionError("no job was seen while it stored its file")


def test_a_worker_killed_anywhere_around_that_moment_leaves_one_file_for_each_job(
    tmp_path: Path,
) -> None:
    attempts = set()
    with System(
        tmp_path / "s", scripted=True, options=["--quick"], worker_concurrency="6"
    ) as system:
        for number in range(2):
            jobs = [submit(system, f"{number}-{n}", bytes=BYTES // 10) for n in range(6)]
            first = len(stored(system)) + random.randint(1, 5)
            begun = lambda first=first: len(stored(system)) >= first  # noqa: E731
            assert eventually(begun, 30, OFTEN, seldom_seconds=OFTEN)
            kill_worker(system)
            system.start_worker()
            ended = [system.until(job_id) for job_id in jobs]
            assert {job["state"] for job in ended} == {"succeeded"}
            attempts |= {job["attempt"] for job in ended}
            nothing_stray(system, 6 * (number + 1))
        assert attempts == {1, 2}
        with system.valkey.client() as client:
            assert {job.attempt for job in Records(client).jobs.values()} == {1, 2}


def test_a_worker_killed_while_it_drains_loses_nothing(tmp_path: Path) -> None:
    with System(tmp_path / "s", scripted=True, options=["--quick"], shutdown_grace="60s") as system:
        job_id = submit(system, "long", seconds=3)
        assert eventually(lambda: system.tools("made.mp4"), 30)
        tools = system.tools("made.mp4")
        system.workers[0].send_signal(signal.SIGINT)
        time.sleep(1)
        assert system.workers[0].poll() is None
        kill_worker(system)
        assert eventually(lambda: not any(tool.is_running() for tool in tools), 5)
        system.start_worker()
        job = system.until(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        nothing_stray(system, 1)
