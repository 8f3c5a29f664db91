"""A client's use cases against a real store and broker, up to what many of them do at once."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis

from tasks.dispatch import JobRequest
from tasks.dispatch.broker import Broker, broker_url, make_celery
from tasks.dispatch.planning import Plan
from tasks.errors import (
    CancelRequested,
    InvalidRequest,
    JobAlreadyFinal,
    JobNotFinal,
    JobNotRetryable,
    LeaseLost,
    NotFound,
    QueueFull,
    StoreUnavailable,
)
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.specs import Source, Spec
from tasks.store import Extras, JobQuery, Lease, Store
from tests.support.house import House, messages
from tests.support.records import Records, at_once, every_key, make_artifact, new_id, source_id
from tests.support.valkey import ValkeyServer

URL = "https://media.example/v.mp4"
DOWNLOAD = DownloadSpec(Source(url=URL))
EXTRACT = ExtractSpec(Source(url=URL))
NO = Failure("unavailable", "removed")


def clip(url: str = URL, start: float = 0.0) -> ClipSpec:
    return ClipSpec(Source(url=url), start, start + 1)


@pytest.fixture
def house(valkey: ValkeyServer, tmp_path: Path) -> Iterator[House]:
    house = House(valkey.url, tmp_path)
    yield house
    with valkey.client() as client:
        Records(client).check(house.store)


# Submitting


def test_a_submitted_job_is_recorded_ready_and_announced(house: House) -> None:
    snapshot = house.dispatcher.submit(JobRequest(EXTRACT, 7, "mine", {"a": "b"}), "ann")
    job = house.store.jobs.get(snapshot.id)
    assert snapshot == house.store.jobs.snapshot(job.id, "ann")
    assert (job.spec, job.priority, job.external_id) == (EXTRACT, 7, "mine")
    assert (job.metadata, job.owner, job.state) == ({"a": "b"}, "ann", JobState.QUEUED)
    assert messages(house, "extract") == [job.id]


def test_there_is_one_message_for_each_ready_job(house: House) -> None:
    _, jobs = house.submit_batch([EXTRACT] * 30 + [clip(start=n) for n in range(30)])
    assert sorted(messages(house, "extract")) == [job.id for job in jobs[:30]]
    assert messages(house, "clip") == []
    assert messages(house, "download") == [source_id(jobs[30])]
    assert house.broker.waiting("extract") == 30


def test_a_batch_with_one_bad_item_leaves_nothing(house: House, valkey: ValkeyServer) -> None:
    specs: list[Spec] = [clip()] * 5 + [clip("http://127.0.0.1/x")] + [EXTRACT] * 5
    with valkey.client() as client:
        before = every_key(client)
        with pytest.raises(InvalidRequest) as caught:
            house.submit_batch(specs)
        assert [fault.pointer for fault in caught.value.faults] == ["/jobs/5/source/url"]
        assert caught.value.code == "blocked_address"
        assert every_key(client) == before


def test_a_source_that_cannot_serve_is_refused(house: House) -> None:
    extract = house.submit(EXTRACT)
    failed = house.submit(DOWNLOAD)
    house.end(house.start("download"), JobState.FAILED)
    others = house.submit(DownloadSpec(Source(url=URL + "2")), owner="bob")
    for source, pointer in [
        (Source(job_id=extract.id), "/source/job_id"),
        (Source(job_id=failed.id), "/source/job_id"),
        (Source(job_id=others.id), "/source/job_id"),
        (Source(job_id=new_id()), "/source/job_id"),
        (Source(job_id="../*"), "/source/job_id"),
        (Source(upload_id=new_id()), "/source/upload_id"),
        (Source(url="file:///etc/passwd"), "/source/url"),
    ]:
        with pytest.raises(InvalidRequest) as caught:
            house.submit(ClipSpec(source, 0, 1))
        assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_a_full_queue_takes_nothing_more(valkey: ValkeyServer, tmp_path: Path) -> None:
    house = House(valkey.url, tmp_path, max_queued="3")
    house.submit_batch([EXTRACT] * 2)
    with valkey.client() as client:
        before = every_key(client)
        with pytest.raises(QueueFull):
            house.submit_batch([EXTRACT] * 2)
        assert every_key(client) == before
    house.submit(EXTRACT)
    with pytest.raises(QueueFull):
        house.submit(EXTRACT)
    house.start("extract")
    house.submit(EXTRACT)


def test_a_clip_that_finds_the_queue_full_leaves_no_download_behind(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    house = House(valkey.url, tmp_path, max_queued="3")
    house.submit_batch([EXTRACT] * 2)
    for refused in (lambda: house.submit(clip()), lambda: house.submit_batch([clip()])):
        with pytest.raises(QueueFull):
            refused()  # there is room for it, but not for its download as well
        assert house.downloads() == []
    house.start("extract")
    house.submit(clip())


def test_who_asks_side_by_side_never_fills_the_queue_beyond_its_limit(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    house = House(valkey.url, tmp_path, max_queued="20")

    def ask(number: int) -> int:
        asked = [clip(start=number)] if number % 4 == 0 else [EXTRACT] * (number % 4)
        try:
            if number % 4 == 1:
                house.dispatcher.submit(JobRequest(EXTRACT), "ann", f"key{number}")
            else:
                house.submit_batch(asked)
        except QueueFull:
            return 0
        return len(asked)

    accepted = sum(at_once(ask, 48))
    assert accepted + len(house.downloads()) == house.store.counters.queued_total()
    assert 17 <= house.store.counters.queued_total() <= 20  # what is left is too little for a batch
    with valkey.client() as client:
        Records(client).check(house.store)
        keys = {name for name in every_key(client) if name.startswith("clipmill:idempotency:")}
        named = [job for job in Records(client).jobs.values() if job.batch_id is None]
        assert len(keys) == len([job for job in named if not job.internal])  # refused: key is free


# One download for all who ask


def test_clips_of_one_url_wait_for_one_download(house: House) -> None:
    _, jobs = house.submit_batch([clip(start=n) for n in range(12)])
    (download,) = house.downloads()
    assert download.internal
    assert {source_id(job) for job in jobs} == {download.id}
    assert {job.wait_reason for job in jobs} == {WaitReason.DEPENDENCY}
    assert house.store.leases.take("clip") is None
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert sorted(messages(house, "clip")) == sorted(job.id for job in jobs)
    assert {house.start("clip").job.id for _ in jobs} == {job.id for job in jobs}


def test_the_download_of_a_batch_is_as_urgent_as_its_most_urgent_clip(house: House) -> None:
    requests = [
        JobRequest(clip(start=i), priority=priority) for i, priority in enumerate((2, 8, 5))
    ]
    house.dispatcher.submit_batch(requests, "ann")
    assert [download.priority for download in house.downloads()] == [8]


def test_the_downloads_of_batches_take_turns_as_the_batches_do(house: House) -> None:
    """Who asks for one clip does not wait for the sixty downloads of a batch before it."""
    house.submit_batch([clip(f"{URL}?{number}") for number in range(60)])
    _, (small,) = house.submit_batch([clip(f"{URL}?small")])
    single = house.submit(clip(f"{URL}?single"))
    taken = [house.start("download").job for _ in range(8)]
    assert {source_id(small), source_id(single)} <= {job.id for job in taken}
    assert {job.batch_id for job in house.downloads()} == {None}


def test_a_download_becomes_as_urgent_as_whoever_comes_to_wait_for_it(house: House) -> None:
    first = house.submit(clip(), priority=0)
    for number in range(20):
        house.submit(clip(f"{URL}?{number}"), priority=2)
    house.submit(clip(start=1.0), priority=9)
    lease = house.store.leases.take("download")
    assert lease is not None
    assert lease.job.id == source_id(first)


def test_it_stays_urgent_when_it_is_given_back_and_no_longer_when_it_is_retried(
    house: House,
) -> None:
    low = house.submit(DOWNLOAD, priority=0)
    lease = house.start("download")
    house.submit(clip(), priority=9)
    later = lease.job.requeued(time.time(), not_before=house.store.server.now())
    house.store.jobs.release(lease, later)
    for number in range(9):
        house.submit(DownloadSpec(Source(url=f"{URL}?{number}")), priority=5)
    job, revision = house.store.jobs.get_with_revision(low.id)
    house.store.jobs.replace(job, job.due(), revision)
    lease = house.start("download")
    assert (lease.job.id, lease.job.priority) == (low.id, 0)
    house.end(lease, JobState.FAILED)
    house.dispatcher.retry(low.id, "ann")
    assert low.id not in {house.start("download").job.id for _ in range(9)}


def test_urgency_reaches_the_download_that_a_download_waits_for(house: House) -> None:
    """A clip of somebody's download, which follows an equal one that was there before."""
    leader = house.submit(DOWNLOAD, priority=0)
    follower = house.submit(DOWNLOAD, priority=0)
    for number in range(9):
        house.submit(DownloadSpec(Source(url=f"{URL}?{number}")), priority=5)
    house.submit(ClipSpec(Source(job_id=follower.id), 0, 1), priority=9)
    assert house.start("download").job.id == leader.id


class Vanishing:
    """Deletes the download that a plan has found, so many times."""

    def __init__(self, house: House, times: int, end: JobState | None = None) -> None:
        self.house, self.left, self.end = house, times, end
        self.deleted: list[str] = []
        planner = house.dispatcher._planner
        self._record, self._plan, planner.plan = planner.record, planner.plan, self  # type: ignore[method-assign]

    def __call__(self, jobs: Sequence[Job]) -> Plan:
        if self.left == 0:
            return self._plan(jobs)
        self.left -= 1
        download = self._another()
        plan = self._plan(jobs)
        assert plan.jobs[-1].depends_on == (download.id,)
        if self.end is None:
            self.house.dependents.cancel(*self.house.store.jobs.get_with_revision(download.id))
        self.house.dispatcher.delete(download.id, None)
        self.deleted.append(download.id)
        return plan

    def _another(self) -> Job:
        download = self._record(JobRequest(DOWNLOAD), "ann")
        self.house.store.submit([download])
        if self.end is not None:
            self.house.end(self.house.start("download"), self.end)
        return download


def ways_to_ask(house: House, key: str | None) -> list[Callable[[], list[Job]]]:
    request = JobRequest(clip())

    def one() -> list[Job]:
        return [house.store.jobs.get(house.dispatcher.submit(request, "ann", key).id)]

    def batch() -> list[Job]:
        batch_id = house.dispatcher.submit_batch([JobRequest(EXTRACT), request], "ann", key)
        return [house.store.jobs.get(job_id) for job_id in house.store.batches.job_ids(batch_id)]

    return [one, batch]


@pytest.mark.parametrize("key", [None, "mine"])
@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("end", [None, JobState.SUCCEEDED])
def test_a_clip_whose_download_is_deleted_as_it_is_submitted_gets_another(
    house: House, way: int, key: str | None, end: JobState | None
) -> None:
    vanishing = Vanishing(house, 2, end)
    asked = ways_to_ask(house, key)[way]()[-1]
    assert len(vanishing.deleted) == 2
    assert asked.wait_reason is WaitReason.DEPENDENCY
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert house.start("clip").job.id == asked.id


@pytest.mark.parametrize("way", [0, 1])
def test_who_never_finds_his_source_is_told_to_ask_again_and_nothing_is_recorded(
    house: House, valkey: ValkeyServer, way: int
) -> None:
    Vanishing(house, times=1000)
    with pytest.raises(StoreUnavailable):
        ways_to_ask(house, "mine")[way]()
    with valkey.client() as client:
        assert Records(client).jobs == {}
        assert not [
            name for name in every_key(client) if "batch:" in name or "idempotency:" in name
        ]


def test_a_retried_clip_whose_download_is_deleted_in_that_moment_gets_another(
    house: House,
) -> None:
    job = house.submit(clip())
    house.dispatcher.cancel(job.id, "ann")
    vanishing = Vanishing(house, times=2)
    house.dispatcher.retry(job.id, "ann")
    assert len(vanishing.deleted) == 2
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert house.start("clip").job.id == job.id


def test_owners_never_share_a_download(house: House) -> None:
    ann, bob = house.submit(clip()), house.submit(clip(), owner="bob")
    assert ann.depends_on != bob.depends_on
    assert {job.owner for job in house.downloads()} == {"ann", "bob"}


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_of_fifty_who_ask_for_a_download_at_once_one_runs_it(
    valkey: ValkeyServer, tmp_path: Path, end: JobState
) -> None:
    houses = [House(valkey.url, tmp_path) for _ in range(2)]
    jobs = at_once(lambda number: houses[number % 2].submit(DOWNLOAD), 50)
    house = houses[0]
    first = house.start("download")
    assert house.store.leases.take("download") is None
    followers = [job for job in jobs if job.id != first.job.id]
    house.end(first, end)
    if end is JobState.SUCCEEDED:
        assert house.states(followers) == {"queued": 49}
        for _ in followers:
            lease = house.start("download")
            assert lease.job.depends_on == (first.job.id,)
            house.end(lease, JobState.SUCCEEDED)
    elif end is JobState.FAILED:
        assert house.states(followers) == {"failed": 49}
        assert all(house.store.jobs.get(job.id).error == NO for job in followers)
    else:
        second = house.start("download")
        assert house.store.leases.take("download") is None
        house.end(second, JobState.FAILED)
        assert house.states(followers) == {"failed": 49}
        house.dispatcher.delete(first.job.id, "ann")
    with valkey.client() as client:
        Records(client).check(house.store)
        assert not house.store.dependents.to_release()


def test_fifty_clips_that_come_at_once_over_two_processes_wait_for_one_download(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    houses = [House(valkey.url, tmp_path) for _ in range(2)]
    jobs = at_once(lambda number: houses[number % 2].submit(clip(start=number)), 50)
    (download,) = houses[0].downloads()
    assert {source_id(job) for job in jobs} == {download.id}
    assert {job.wait_reason for job in jobs} == {WaitReason.DEPENDENCY}
    assert set(houses[0].store.dependents.of(download.id)) == {job.id for job in jobs}
    with valkey.client() as client:
        Records(client).check(houses[0].store)


def test_a_clip_whose_download_another_has_begun_since_the_plan_waits_for_that_one(
    house: House,
) -> None:
    job = house.dispatcher._planner.record(JobRequest(clip()), "ann")
    plan = house.dispatcher._planner.plan([job])
    (planned,) = plan.sources.downloads
    other = house.submit(DOWNLOAD)
    assert house.store.submit(plan.jobs, plan.sources) == ["", "waiting"]
    assert house.store.jobs.get(job.id).depends_on == (other.id,)
    shown = json.loads(house.store.jobs.snapshot(job.id, "ann").body)
    assert (shown["depends_on"], shown["wait_reason"]) == (other.id, "dependency")
    assert [found.id for found in house.downloads()] == [other.id]
    with pytest.raises(NotFound):
        house.store.jobs.get(planned.id)


def test_a_clip_whose_download_fails_says_so(house: House) -> None:
    job = house.submit(clip())
    house.end(house.start("download"), JobState.FAILED)
    failed = house.store.jobs.get(job.id)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == (JobState.FAILED, "source_failed")
    assert failed.error.detail == {"job_id": source_id(job), "code": "unavailable"}


def test_a_clip_of_a_cancelled_job_says_so(house: House) -> None:
    download = house.submit(DOWNLOAD)
    job = house.submit(ClipSpec(Source(job_id=download.id), 0, 1))
    house.dispatcher.cancel(download.id, "ann")
    failed = house.store.jobs.get(job.id)
    assert failed.error is not None
    assert (failed.error.code, failed.error.detail["code"]) == ("source_failed", "cancelled")


def test_a_long_chain_of_clips_ends_with_its_source(house: House) -> None:
    first = job = house.submit(DOWNLOAD)
    for _ in range(350):
        job = house.submit(ClipSpec(Source(job_id=job.id), 0, 1))
    house.dispatcher.cancel(first.id, "ann")
    assert house.store.jobs.get(job.id).state is JobState.FAILED


# Cancelling


def test_the_download_goes_with_its_last_clip(house: House) -> None:
    jobs = [house.submit(clip(start=n)) for n in range(3)]
    for job in jobs[:2]:
        house.dispatcher.cancel(job.id, "ann")
    assert house.downloads()[0].state is JobState.QUEUED
    house.dispatcher.cancel(jobs[2].id, "ann")
    assert house.downloads()[0].state is JobState.CANCELLED


def test_a_download_that_a_client_asked_for_outlives_the_clips(house: House) -> None:
    download = house.submit(DOWNLOAD)
    job = house.submit(clip())
    assert job.depends_on == (download.id,)
    house.dispatcher.cancel(job.id, "ann")
    assert house.store.jobs.get(download.id).state is JobState.QUEUED


def test_a_batch_that_is_cancelled_and_submitted_again_does_not_share_its_fate(
    house: House,
) -> None:
    """The worker needs a moment to stop the old download; new clips come to it in that moment."""
    batch_id, _ = house.submit_batch([clip(start=n) for n in range(3)])
    old = house.start("download")
    house.dispatcher.cancel_batch(batch_id, "ann")
    assert house.store.leases.renew([old]) == ["cancel"]
    _, jobs = house.submit_batch([clip(start=n) for n in range(3)])
    assert {source_id(job) for job in jobs} == {old.job.id}
    house.end(old, JobState.CANCELLED)
    fresh = house.start("download")
    assert fresh.job.id in messages(house, "download")
    house.end(fresh, JobState.SUCCEEDED)
    assert {house.start("clip").job.id for _ in jobs} == {job.id for job in jobs}
    house.dispatcher.delete(old.job.id, "ann")


def test_clips_that_come_while_their_download_is_cancelled_get_another(house: House) -> None:
    """Clips come and go at random; none of them may fail by another one's cancel."""
    picks = random.Random(7)

    def play(_: int) -> list[Job]:
        jobs = []
        for number in range(12):
            job = house.submit(clip(start=number))
            if picks.random() < 0.7:
                house.dispatcher.cancel(job.id, "ann")
            jobs.append(job)
        return jobs

    jobs = [job for part in at_once(play, 6) for job in part]
    for job_id in house.store.dependents.to_release():  # as the housekeeper does
        house.dependents.release(house.store.jobs.get(job_id))
    assert set(house.states(jobs)) <= {"queued", "cancelled"}
    waiting = [
        job for job in map(house.store.jobs.get, (job.id for job in jobs)) if not job.state.final
    ]
    parents = {house.store.jobs.get(source_id(job)).state for job in waiting}
    assert parents <= {JobState.QUEUED}
    assert len([job for job in house.downloads() if not job.state.final]) <= 1


def test_a_cancel_races_with_the_start(house: House) -> None:
    for _ in range(100):
        job = house.submit(EXTRACT)

        def client(job: Job = job) -> None:
            house.dispatcher.cancel(job.id, "ann")

        def worker(job: Job = job) -> None:
            try:
                lease = house.start("extract")
                for _ in range(3):
                    lease = house.store.jobs.hold(lease, lease.job.progressed(0.5), 30)
                house.end(lease, JobState.SUCCEEDED)
            except CancelRequested:
                house.end(lease, JobState.CANCELLED)
            except (LeaseLost, AssertionError):
                return  # cancelled before it began

        try:
            at_once(lambda number: (client, worker)[number](), 2)
            accepted = True
        except JobAlreadyFinal:
            accepted = False
        state = house.store.jobs.get(job.id).state
        assert state is (JobState.CANCELLED if accepted else JobState.SUCCEEDED)


def test_a_cancel_races_with_the_end(house: House) -> None:
    outcomes = Counter[str]()
    for number in range(100):
        job = house.submit(EXTRACT)
        lease = house.start("extract")

        def client(job: Job = job) -> bool:
            try:
                house.dispatcher.cancel(job.id, "ann")
            except JobAlreadyFinal:
                return False
            return True

        def worker(lease: Lease = lease, number: int = number) -> bool:
            time.sleep(number % 10 / 10_000)
            try:
                house.end(lease, JobState.SUCCEEDED)
            except CancelRequested:
                house.end(lease, JobState.CANCELLED)
            return True

        accepted, _ = at_once(lambda number: (client, worker)[number](), 2)
        state = house.store.jobs.get(job.id).state
        assert state is (JobState.CANCELLED if accepted else JobState.SUCCEEDED)
        outcomes[state.value] += 1
    assert sum(outcomes.values()) == 100


def test_cancelling_what_is_over_is_refused(house: House) -> None:
    job = house.submit(EXTRACT)
    house.dispatcher.cancel(job.id, "ann")
    with pytest.raises(JobAlreadyFinal):
        house.dispatcher.cancel(job.id, "ann")
    with pytest.raises(NotFound):
        house.dispatcher.cancel(job.id, "bob")


def test_a_whole_batch_is_cancelled(house: House) -> None:
    batch_id, _ = house.submit_batch([clip(start=n) for n in range(50)] + [EXTRACT] * 3)
    house.dispatcher.cancel_batch(batch_id, "ann")
    assert house.store.batches.get(batch_id).state == "cancelled"
    assert {job.state for job in house.downloads()} == {JobState.CANCELLED}
    house.dispatcher.cancel_batch(batch_id, "ann")
    with pytest.raises(NotFound):
        house.dispatcher.cancel_batch(batch_id, "bob")


# Retrying


def test_a_retried_clip_gets_a_new_download(house: House) -> None:
    job = house.submit(clip())
    house.end(house.start("download"), JobState.FAILED)
    again = house.dispatcher.retry(job.id, "ann")
    planned = house.store.jobs.get(job.id)
    assert again.state is JobState.QUEUED
    assert planned.depends_on != job.depends_on
    assert (planned.attempt, planned.error, planned.finished_at) == (0, None, None)
    assert source_id(planned) in messages(house, "download")
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert house.start("clip").job.id == job.id


def test_a_retried_download_follows_one_that_runs(house: House) -> None:
    first = house.submit(DOWNLOAD)
    house.end(house.start("download"), JobState.FAILED)
    second = house.submit(DOWNLOAD)
    house.dispatcher.retry(first.id, "ann")
    assert house.store.jobs.get(first.id).depends_on == (second.id,)


def test_fifty_retries_of_one_job_are_one(house: House) -> None:
    job = house.submit(EXTRACT)
    house.dispatcher.cancel(job.id, "ann")

    def retry(_: int) -> bool:
        try:
            house.dispatcher.retry(job.id, "ann")
        except JobNotRetryable:
            return False
        return True

    assert sum(at_once(retry, 50)) == 1


def test_of_a_batch_only_the_failed_jobs_are_retried(house: House) -> None:
    batch_id, jobs = house.submit_batch([EXTRACT] * 3)
    house.end(house.start("extract"), JobState.SUCCEEDED)
    house.end(house.start("extract"), JobState.FAILED)
    house.dispatcher.cancel(jobs[2].id, "ann")
    house.dispatcher.retry_batch(batch_id, "ann")
    assert house.states(jobs) == {"succeeded": 1, "queued": 1, "cancelled": 1}


def fail_all(house: House, kind: str) -> None:
    while (lease := house.store.leases.take(kind)) is not None:
        house.end(house.store.jobs.hold(lease, lease.job.started(time.time()), 30), JobState.FAILED)


def test_a_retry_needs_room_in_the_queue_too(valkey: ValkeyServer, tmp_path: Path) -> None:
    house = House(valkey.url, tmp_path, max_queued="5")
    batch_id, jobs = house.submit_batch([EXTRACT] * 5)
    fail_all(house, "extract")
    house.submit_batch([EXTRACT] * 4)
    for refused in (
        lambda: house.dispatcher.retry_batch(batch_id, "ann"),
        lambda: house.dispatcher.retry_failed(JobQuery(), "ann"),
    ):
        with pytest.raises(QueueFull):
            refused()
        assert house.states(jobs) == {"failed": 5}  # all or none
    house.dispatcher.retry(jobs[0].id, "ann")
    with pytest.raises(QueueFull):
        house.dispatcher.retry(jobs[1].id, "ann")
    assert house.store.counters.queued_total() == 5


def test_retries_side_by_side_never_fill_the_queue_beyond_its_limit(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    house = House(valkey.url, tmp_path, max_queued="16")
    _, jobs = house.submit_batch([EXTRACT] * 16)
    fail_all(house, "extract")
    house.submit_batch([EXTRACT] * 8)

    def retry(number: int) -> bool:
        try:
            house.dispatcher.retry(jobs[number].id, "ann")
        except QueueFull:
            return False
        return True

    assert sum(at_once(retry, len(jobs))) == 8
    assert house.states(jobs) == {"queued": 8, "failed": 8}


def test_a_batch_that_finds_the_queue_full_in_the_middle_says_how_much_was_retried(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    """There is room for the clips, but not for the downloads that they need as well."""
    house = House(valkey.url, tmp_path, max_queued="8")
    batch_id, jobs = house.submit_batch([clip(f"{URL}?{number}") for number in range(4)])
    fail_all(house, "download")
    house.submit_batch([EXTRACT] * 3)
    with pytest.raises(QueueFull, match="2 of 4 jobs are queued again"):
        house.dispatcher.retry_batch(batch_id, "ann")
    assert house.states(jobs) == {"queued": 2, "failed": 2}
    assert len([job for job in house.downloads() if not job.state.final]) == 2
    assert house.store.counters.queued_total() == 7


# Deleting


def test_deleting_removes_files_and_every_key(house: House, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        job = house.submit(DOWNLOAD)
        child = house.submit(clip())
        lease = house.start("download")
        artifact = make_artifact(job)
        (house.folder / artifact.id[-2:]).mkdir()
        (house.folder / artifact.storage_key).write_bytes(b"x" * 100)
        house.end(lease, JobState.SUCCEEDED, Extras(artifacts=[(artifact, True)]))
        with pytest.raises(JobNotFinal):
            house.dispatcher.delete(job.id, "ann")
        assert house.storage.has(artifact.storage_key)
        house.end(house.start("clip"), JobState.FAILED)
        for owner, job_id in (("bob", job.id), ("ann", new_id())):
            with pytest.raises(NotFound):
                house.dispatcher.delete(job_id, owner)
        house.dispatcher.delete(child.id, "ann")
        house.dispatcher.delete(job.id, "ann")
        assert not house.storage.has(artifact.storage_key)
        left = {name for name in every_key(client) if not name.startswith("clipmill:celery:")}
        lanes = {name for name in left if name.startswith("clipmill:turns:")}
        used = {name for name in left if name.startswith("clipmill:use:")}  # expires
        assert left - used <= {"clipmill:counters", "clipmill:totals"} | lanes


def test_a_job_that_runs_is_not_deleted(house: House) -> None:
    job = house.submit(EXTRACT)
    house.start("extract")
    with pytest.raises(JobNotFinal):
        house.dispatcher.delete(job.id, "ann")


# When the store or the broker has trouble


def test_losing_the_brokers_messages_loses_no_job(house: House) -> None:
    _, jobs = house.submit_batch([EXTRACT] * 100)
    for name in house.store.connection.redis.keys("clipmill:celery:*"):
        house.store.connection.redis.delete(name)
    assert house.broker.waiting("extract") == 0
    assert house.store.leases.ready_count("extract") == 100
    assert house.states(jobs) == {"queued": 100}
    house.broker.publish([("extract", "")])
    assert house.broker.waiting("extract") == 1


def test_a_request_to_a_store_that_is_gone_fails_soon(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    house = House(own_valkey.url, tmp_path)
    job = house.submit(EXTRACT)
    time.sleep(1.1)  # the log reaches the disk each second
    own_valkey.kill()
    begin = time.monotonic()
    for call in (
        lambda: house.submit(EXTRACT),
        lambda: house.submit_batch([EXTRACT]),
        lambda: house.dispatcher.cancel(job.id, "ann"),
        lambda: house.broker.publish([("extract", "x")]),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    assert time.monotonic() - begin < 10
    own_valkey.start()
    house.submit(EXTRACT)
    assert house.states([job]) == {"queued": 1}
    assert house.broker.waiting("extract") == 2


def test_a_broker_that_is_full_does_not_refuse_a_recorded_job(house: House) -> None:
    job = house.submit(EXTRACT)
    house.store.connection.redis.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable):
        house.submit(EXTRACT)
    with pytest.raises(StoreUnavailable):
        house.broker.publish([("extract", job.id)])
    house.dispatcher.cancel(job.id, "ann")
    house.store.connection.redis.config_set("maxmemory", "0")
    house.submit(EXTRACT)


def test_a_store_that_hangs_does_not_hold_a_request_for_long(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    house = House(own_valkey.url, tmp_path)
    house.submit(EXTRACT)
    os.kill(own_valkey.pid, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable):
        house.submit(EXTRACT)
    assert time.monotonic() - begin < 3.5
    os.kill(own_valkey.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("ours", "kombus"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("rediss://:p@h", "rediss://:p@h"),
        ("unix:///tmp/v.sock", "redis+socket:///tmp/v.sock"),
        ("unix:///tmp/v.sock?db=3", "redis+socket:///tmp/v.sock?virtual_host=3"),
    ],
)
def test_the_broker_is_the_same_server(ours: str, kombus: str) -> None:
    assert broker_url(ours) == kombus


def test_the_brokers_database_is_the_stores(valkey: ValkeyServer) -> None:
    Broker(make_celery(valkey.url + "?db=3")).publish([("clip", "x")])
    third = redis.Redis.from_url(valkey.url + "?db=3")
    with third:
        assert third.llen("clipmill:celery:clipmill.clip") == 1
        assert Store.at(valkey.url + "?db=3").connection.redis.dbsize() == third.dbsize()
