"""What each event adds to which number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.kinds import ClipResult, DownloadResult, Verification
from tasks.metrics import observer
from tasks.metrics.catalogue import FAMILIES
from tasks.metrics.observer import JobObserver, UpkeepObserver
from tasks.result import ArtifactRef, Result
from tests.architecture.source import ROOT

MAIN = ArtifactRef("a", "a.mp4", "main", "video/mp4", 1000, "0" * 64, duration_seconds=2.5)
THUMBNAIL = ArtifactRef("b", "b.jpg", "thumbnail", "image/jpeg", 50, "0" * 64)
CLIP = ClipResult(
    artifacts=(MAIN, THUMBNAIL), mode="smart", mode_reason="", requested_start=0.0,
    requested_end=2.5, actual_start=0.0, actual_end=2.5, frames=60, frames_encoded=10,
    frames_copied=50, verification=Verification(60, 60, 8),
)  # fmt: skip
# Counted by whoever serves requests, by a script of the store, or by nobody yet.
COUNTED_ELSEWHERE = {
    "http_request_seconds", "housekeeper_rounds_total", "webhook_deliveries_total",
    "stream_bytes_total",
}  # fmt: skip


def test_a_clip_counts_its_frames_its_length_and_its_work() -> None:
    seen = JobObserver("clip")
    seen.work_published(CLIP)
    assert seen.tally == {
        "cache_misses_total{cache=clip}": 1,
        "media_seconds_total{kind=clip}": 2.5,
        "clip_frames_total{how=encoded}": 10,
        "clip_frames_total{how=copied}": 50,
    }


def test_a_download_counts_its_bytes_and_an_extract_nothing() -> None:
    seen = JobObserver("download")
    seen.work_published(DownloadResult(artifacts=(MAIN,)))
    assert seen.tally == {
        "cache_misses_total{cache=download}": 1,
        "media_seconds_total{kind=download}": 2.5,
        "bytes_downloaded_total": 1000,
    }
    nothing = JobObserver("extract")
    nothing.work_published(Result())
    assert nothing.tally == {}


def test_what_was_not_seen_is_not_counted() -> None:
    seen = JobObserver("clip")
    seen.tool_finished("ffmpeg", 0)
    seen.memory_compared(None)
    seen.smart_cuts_rejected(0)
    assert seen.tally == {}


def test_the_events_of_an_attempt_add_up() -> None:
    seen = JobObserver("clip")
    seen.waited_for_room(0.0)
    seen.tool_finished("ffmpeg", 100)
    seen.tool_finished("ffmpeg", 200)
    seen.smart_cuts_rejected(2)
    seen.attempt_failed("tool_failed")
    assert seen.tally["admission_wait_seconds_count"] == 1
    assert seen.tally["subprocess_peak_bytes_sum{tool=ffmpeg}"] == 300
    assert seen.tally["subprocess_peak_bytes_count{tool=ffmpeg}"] == 2
    assert seen.tally["smart_rejected_total"] == 2
    assert seen.tally["job_retries_total{code=tool_failed,kind=clip}"] == 1


def test_upkeep_counts_what_it_finds() -> None:
    seen = UpkeepObserver()
    seen.messages_lost(3)
    seen.artifact_expired("ttl")
    seen.unreferenced_removed(4)
    assert seen.tally == {
        "recovered_jobs_total{reason=message}": 3,
        "artifacts_expired_total{reason=ttl}": 1,
        "stray_files_total": 4,
    }


@pytest.mark.parametrize("metric", sorted(FAMILIES.keys() - COUNTED_ELSEWHERE))
def test_each_number_of_the_catalogue_is_counted_here_and_named_nowhere_else(metric: str) -> None:
    """So a further number is a row there and a line here."""
    assert f'"{metric}"' in Path(observer.__file__).read_text()
    named = re.compile(rf'"{metric}\b')
    users = [
        path.relative_to(ROOT).as_posix()
        for room in ("tasks", "worker")
        for path in (ROOT / room).rglob("*.py")
        if named.search(path.read_text())
    ]
    assert set(users) == {"tasks/metrics/catalogue.py", "tasks/metrics/observer.py"}
