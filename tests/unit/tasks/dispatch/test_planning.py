"""Where sources come from, decided by what the store knows alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from tasks.dispatch.dependents import after_end
from tasks.dispatch.planning import Known, Plan, planned
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import ClipSpec, DownloadResult, DownloadSpec, ExtractSpec
from tasks.specs import Source
from tests.support.records import make_job, new_id

URL = "https://media.example/v.mp4"
DAY = 86_400.0
NAME = DownloadSpec(Source(url=URL)).fingerprint("ann")


def clip(source: Source = Source(url=URL), **values: object) -> Job:  # noqa: B008
    return make_job(ClipSpec(source, 0.0, 1.0), **values)


def download(state: JobState = JobState.QUEUED, ended_ago: float = 0.0) -> Job:
    job, now = make_job(DownloadSpec(Source(url=URL)), fingerprint=NAME), time.time() - ended_ago
    return {
        JobState.QUEUED: lambda: job,
        JobState.SUCCEEDED: lambda: job.started(now).succeeded(now, DownloadResult()),
        JobState.FAILED: lambda: job.failed(now, Failure("unavailable", "removed")),
        JobState.CANCELLED: lambda: job.cancelled(now),
    }[state]()


def plan(*jobs: Job, leaders: Mapping[str, Job] | None = None, named: tuple[Job, ...] = ()) -> Plan:
    known = Known({job.id: job for job in named}, leaders or {})
    return planned(jobs, known, DAY, new_id)


def test_a_job_that_reads_its_site_itself_needs_nobody() -> None:
    extract = make_job(ExtractSpec(Source(url=URL)))
    assert plan(extract) == Plan((extract,), plan().sources)


def test_clips_of_one_new_url_share_one_new_download_as_urgent_as_the_most_urgent() -> None:
    low, high = clip(priority=1), clip(priority=8)
    found = plan(low, high)
    (new,) = found.sources.downloads
    assert (new.internal, new.fingerprint, new.priority) == (True, NAME, 8)
    assert [job.id for job in found.jobs] == [low.id, high.id]
    assert {job.depends_on for job in found.jobs} == {(new.id,)}
    assert {job.wait_reason for job in found.jobs} == {WaitReason.DEPENDENCY}


def test_a_new_download_takes_turns_with_the_batch_that_it_is_for() -> None:
    (new,) = plan(clip(batch_id="batch")).sources.downloads
    assert (new.fairness_group, new.batch_id) == ("batch", None)


def test_a_clip_waits_for_the_download_that_is_there_unless_it_is_over() -> None:
    for state, reason in ((JobState.QUEUED, WaitReason.DEPENDENCY), (JobState.SUCCEEDED, None)):
        leader = download(state)
        found = plan(clip(), leaders={NAME: leader})
        assert found.sources.downloads == ()
        assert (found.jobs[0].depends_on, found.jobs[0].wait_reason) == ((leader.id,), reason)


def test_a_download_that_ended_without_a_file_answers_nobody() -> None:
    for state in (JobState.FAILED, JobState.CANCELLED):
        found = plan(clip(), leaders={NAME: download(state)})
        assert len(found.sources.downloads) == 1
        assert found.sources.outdated == {}


def test_a_download_that_is_too_old_answers_nobody_and_leads_no_more() -> None:
    old = download(JobState.SUCCEEDED, ended_ago=DAY + 60)
    found = plan(clip(), leaders={NAME: old})
    assert len(found.sources.downloads) == 1
    assert found.sources.outdated == {NAME: old.id}
    again = make_job(DownloadSpec(Source(url=URL)), fingerprint=NAME)
    found = plan(again, leaders={NAME: old})
    assert (found.jobs[0].depends_on, found.sources.outdated) == ((), {NAME: old.id})


def test_a_download_follows_an_equal_one_and_never_itself() -> None:
    leader = download()
    assert plan(download(), leaders={NAME: leader}).jobs[0].depends_on == (leader.id,)
    assert plan(leader, leaders={NAME: leader}).jobs[0].depends_on == ()


def test_a_named_job_delivers_and_one_that_was_deleted_does_not() -> None:
    named = download()
    asked = clip(Source(job_id=named.id))
    assert plan(asked, named=(named,)).jobs[0].depends_on == (named.id,)
    assert plan(asked).jobs[0].depends_on == ()


def test_a_job_goes_on_when_the_last_source_has_succeeded() -> None:
    done, open_ = download(JobState.SUCCEEDED), download()
    job = clip().depending_on([done.id, open_.id], WaitReason.DEPENDENCY)
    assert after_end(job, done, {open_.id: open_}) is None
    assert after_end(job, done, {open_.id: done}) == job.waiting_for(None)
    assert after_end(job, done, {}) == job.waiting_for(None)


def test_a_job_fails_with_the_first_source_that_fails() -> None:
    failed = download(JobState.FAILED)
    job = clip().depending_on([failed.id, new_id()], WaitReason.DEPENDENCY)
    after = after_end(job, failed, {})
    assert after is not None
    assert after.error is not None
    assert (after.state, after.error.code) == (JobState.FAILED, "source_failed")
    assert after.error.detail == {"job_id": failed.id, "code": "unavailable"}


def test_equal_work_fails_for_the_same_reason() -> None:
    failed = download(JobState.FAILED)
    follower = replace(download(), depends_on=(failed.id,), wait_reason=WaitReason.DEPENDENCY)
    after = after_end(follower, failed, {})
    assert after is not None
    assert after.error == failed.error
