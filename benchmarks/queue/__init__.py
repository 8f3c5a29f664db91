"""Part `queue`: what a job and a request cost when nothing else happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.part import Outcome, Setup
from benchmarks.queue.memory import MemoryUse, idle_memory, memory_sheet
from benchmarks.queue.requests import requests_sheet, run_requests
from benchmarks.queue.waiting import run_jobs, waiting_sheet
from benchmarks.stack import fresh_system
from clipmill.demo.site import running_site
from clipmill.demo.video import make_video

JOBS, QUICK_JOBS = 100, 2  # polled, and as many followed by events
WRK_SECONDS, QUICK_WRK_SECONDS = 5, 1
SOURCE_SECONDS = 20.0
# Jobs of the third kind are accepted and wait, so that submissions are measured alone.
SERVED, NO_LIMIT = "download,clip", "10000000"


def run(setup: Setup) -> Outcome:
    """Start the stack once; measure it idle, after short jobs, and under many requests."""
    jobs = QUICK_JOBS if setup.quick else JOBS
    wrk_seconds = QUICK_WRK_SECONDS if setup.quick else WRK_SECONDS
    with tempfile.TemporaryDirectory(prefix="clipmill-bench-") as name:
        video = Path(name) / "video.mp4"
        make_video(video, SOURCE_SECONDS)
        with (
            running_site(video) as page,
            fresh_system(QUEUES=SERVED, MAX_QUEUED_JOBS=NO_LIMIT) as system,
        ):
            at_first = idle_memory(system)
            setup.say(f"{2 * jobs} short jobs, one after the other …")
            waited = run_jobs(system.client, page, jobs)
            afterwards = idle_memory(system)
            setup.say("Requests …")
            requests = run_requests(system, waited.job_id, wrk_seconds)
    values = {
        "waiting": waited.values(),
        "idle_memory": {
            "at_first": _plain(at_first),
            "after_jobs": _plain(afterwards),
        },
        "requests": [vars(found) for found in requests],
    }
    sheets = (
        waiting_sheet(waited),
        memory_sheet(at_first, afterwards, 2 * jobs),
        requests_sheet(requests),
    )
    return Outcome(values, sheets)


def _plain(found: dict[str, MemoryUse]) -> dict[str, dict[str, int]]:
    return {name: vars(use) for name, use in found.items()}
