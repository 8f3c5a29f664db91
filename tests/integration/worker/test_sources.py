"""A source that is lost again and again, or to many at once: each clip comes to its end."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.dispatch import JobRequest
from tasks.errors import SourceFailed
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import ClipSpec
from tasks.specs import Source
from tests.support.engine import URL, Engine
from tests.support.records import source_id


def submit_clip(engine: Engine, start: float = 0.0, source: Source | None = None) -> str:
    spec = ClipSpec(source or Source(url=URL), start, start + 1)
    return engine.dispatcher.submit(JobRequest(spec), "ann").id


def lost(job: Job) -> Any:
    """What a clip hears of a source that is gone."""
    if job.kind == "clip":
        raise SourceFailed("the source of this job is gone")
    return None


@pytest.fixture
def losing(engine: Engine) -> Engine:
    """An engine whose clips find their source gone, each time."""
    need_of = engine.need_of
    engine.need_of = lambda job: lost(job) or need_of(job)  # type: ignore[method-assign]
    return engine


def run_everything(engine: Engine) -> None:
    while engine.run_all("download") + engine.run_all("clip"):
        pass


def test_a_source_that_is_lost_each_time_is_fetched_a_bounded_number_of_times(
    losing: Engine,
) -> None:
    clip = submit_clip(losing)
    run_everything(losing)
    job = losing.store.jobs.get(clip)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("source_failed", False)
    assert len(losing.attempts) == 3


def test_who_finds_the_source_lost_waits_for_a_download_that_a_worker_is_told_of(
    losing: Engine,
) -> None:
    clip = submit_clip(losing)
    losing.run_all("download")
    first, waiting = source_id(losing.store.jobs.get(clip)), losing.broker.waiting("download")
    assert losing.runner.run_next("clip")
    job = losing.store.jobs.get(clip)
    assert (job.state, job.wait_reason) == (JobState.QUEUED, WaitReason.DEPENDENCY)
    assert source_id(job) != first
    assert losing.broker.waiting("download") == waiting + 1
    assert first is not None
    assert not losing.store.dependents.any_of(first)
    assert losing.store.jobs.timeline(clip)[-1]["why"] == "source_failed"


def test_clips_that_find_the_same_source_lost_wait_for_the_same_download(losing: Engine) -> None:
    clips = [submit_clip(losing, start) for start in range(4)]
    losing.run_all("download")
    for _ in clips:
        assert losing.runner.run_next("clip")
    assert len({losing.store.jobs.get(clip).depends_on for clip in clips}) == 1
    losing.run_all("download")
    assert len(losing.attempts) == 2


def test_a_clip_of_a_named_job_is_not_sent_to_its_url(losing: Engine) -> None:
    download = losing.submit_download()
    losing.run_all("download")
    clip = submit_clip(losing, source=Source(job_id=download))
    run_everything(losing)
    job = losing.store.jobs.get(clip)
    assert (job.state, job.attempt, job.depends_on) == (JobState.FAILED, 0, (download,))
    kept = losing.store.jobs.get(download).result
    assert kept is not None
    losing.store.artifacts.get(kept.artifacts[0].id)


def broken(*_: object) -> Any:
    raise KeyError("a fault of ours")


def test_an_error_while_a_lost_source_is_asked_for_again_is_the_clips_own_failure(
    losing: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = submit_clip(losing)
    losing.run_all("download")
    monkeypatch.setattr(losing.dependents, "with_new_source", broken)
    assert losing.runner.run_next("clip")
    job = losing.store.jobs.get(clip)
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "internal_error")


def test_an_error_after_the_end_of_a_job_is_left_to_the_housekeeper(losing: Engine) -> None:
    download = losing.submit_download()
    losing.run_all("download")
    clip = submit_clip(losing, source=Source(job_id=download))
    after = submit_clip(losing, source=Source(job_id=clip))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losing.dependents, "release", broken)
        assert losing.runner.run_next("clip")
    assert losing.store.jobs.get(clip).state is JobState.FAILED
    assert losing.store.jobs.get(after).state is JobState.QUEUED
    losing.housekeeper.round()
    assert losing.store.jobs.get(after).state is JobState.FAILED
