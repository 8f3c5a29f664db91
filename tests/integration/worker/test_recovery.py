"""The housekeeper: what nobody looks after any more goes on, once, whoever keeps house."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from tasks.dispatch import JobRequest
from tasks.errors import StoreUnavailable
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import ClipSpec
from tasks.specs import Source
from tasks.store import Lease
from tests.support.engine import URL, Engine
from tests.support.processes import eventually
from tests.support.records import at_once, every_key, source_id
from tests.support.valkey import ValkeyServer


def start(engine: Engine, kind: str = "extract") -> Lease:
    """A job in the hands of a worker that will never be heard of again."""
    lease = engine.store.leases.take(kind)
    assert lease is not None
    return engine.store.jobs.hold(lease, lease.job.started(time.time()), 30)


def let_expire(engine: Engine, job_id: str) -> None:
    engine.store.connection.redis.zadd("clipmill:leases", {job_id: 0})
    engine.store.connection.redis.hset(f"clipmill:job:{job_id}", "lease_until", 0)


def messages(engine: Engine, kind: str = "extract") -> int:
    return engine.broker.waiting(kind)


def clear_messages(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        for name in client.keys("clipmill:celery:*"):
            client.delete(name)


def test_a_job_whose_worker_is_lost_is_queued_again_and_announced(
    engine: Engine, valkey: ValkeyServer
) -> None:
    job_id = engine.submit()
    start(engine)
    clear_messages(valkey)
    let_expire(engine, job_id)
    engine.housekeeper.round()
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert messages(engine) == 1
    assert engine.store.counters.read()["recovered_jobs_total{reason=lease}"] == 1


def test_a_job_that_loses_its_worker_each_time_fails(engine: Engine) -> None:
    job_id = engine.submit()
    for _ in range(3):
        start(engine)
        let_expire(engine, job_id)
        engine.housekeeper.round()
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.error is not None
    assert job.error.code == "worker_lost"


def test_a_job_taken_but_not_begun_loses_no_attempt(engine: Engine) -> None:
    job_id = engine.submit()
    engine.store.leases.take("extract")
    let_expire(engine, job_id)
    engine.housekeeper.round()
    assert engine.store.jobs.get(job_id).attempt == 0
    assert engine.runner.run_next("extract")


def submit_clip(engine: Engine) -> Job:
    spec = ClipSpec(Source(url=URL), 0.0, 1.0)
    return engine.store.jobs.get(engine.dispatcher.submit(JobRequest(spec), "ann").id)


@pytest.mark.parametrize("runs", [False, True])
def test_a_download_whose_last_clip_was_cancelled_by_one_who_died_then_is_stopped(
    engine: Engine, runs: bool
) -> None:
    clip = submit_clip(engine)
    download = source_id(clip)
    lease = start(engine, "download") if runs else None
    engine.store.jobs.replace(clip, clip.cancelled(time.time()), 1)  # and no word to the download
    assert engine.store.dependents.unneeded_downloads() == [download]
    engine.housekeeper.round()
    if lease is not None:
        assert engine.store.leases.renew([lease]) == ["cancel"]
        engine.store.jobs.release(lease, lease.job.cancelled(time.time()))
    assert engine.store.jobs.get(download).state is JobState.CANCELLED
    assert engine.store.dependents.unneeded_downloads() == []


def test_clips_that_the_store_cannot_take_leave_no_download_behind(
    engine: Engine, valkey: ValkeyServer
) -> None:
    requests = [JobRequest(ClipSpec(Source(url=f"{URL}/{n}"), 0.0, 1.0)) for n in range(4)]
    with valkey.client() as client:
        before = every_key(client)
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            engine.dispatcher.submit_batch(requests, "ann")
        with pytest.raises(StoreUnavailable):
            engine.dispatcher.submit(requests[0], "ann")
        client.config_set("maxmemory", "0")
        assert every_key(client) == before
        time.sleep(0.6)  # so long a request believes what the last one saw
    engine.dispatcher.submit_batch(requests, "ann")
    assert engine.store.counters.queued_total() == 8


def test_planning_clips_writes_nothing(engine: Engine, valkey: ValkeyServer) -> None:
    """So whoever dies between planning and writing leaves nothing."""
    planner = engine.dispatcher._planner
    jobs = [
        planner.record(JobRequest(ClipSpec(Source(url=f"{URL}/{n}"), 0.0, 1.0)), "ann")
        for n in range(4)
    ]
    with valkey.client() as client:
        before = every_key(client)
        assert len(planner.plan(jobs).sources.downloads) == 4
        assert every_key(client) == before


def test_a_download_that_a_clip_needs_or_a_client_retries_is_not_stopped(engine: Engine) -> None:
    download = source_id(submit_clip(engine))
    assert engine.store.dependents.unneeded_downloads() == []
    lease = start(engine, "download")
    failed = lease.job.failed(time.time(), Failure("unavailable", "gone"))
    engine.store.jobs.release(lease, failed)
    engine.dependents.release(failed)
    engine.dispatcher.retry(download, "ann")
    assert engine.store.dependents.unneeded_downloads() == []
    assert engine.store.jobs.get(download).state is JobState.QUEUED


def test_a_cancel_outlives_the_worker_that_should_have_heard_it(engine: Engine) -> None:
    job_id = engine.submit()
    start(engine)
    engine.dispatcher.cancel(job_id, "ann")
    let_expire(engine, job_id)
    engine.housekeeper.round()
    assert engine.store.jobs.get(job_id).state is JobState.CANCELLED


def test_a_due_retry_becomes_ready(engine: Engine) -> None:
    job_id = engine.submit()
    lease = start(engine)
    engine.store.jobs.release(lease, lease.job.requeued(time.time(), not_before=time.time() - 1))
    engine.housekeeper.round()
    job = engine.store.jobs.get(job_id)
    assert (job.wait_reason, job.not_before) == (None, None)
    assert engine.runner.run_next("extract")


@pytest.mark.parametrize("claimed", [False, True], ids=["taken", "running"])
def test_a_housekeeper_that_hung_leaves_alone_what_another_has_promoted_since(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, claimed: bool
) -> None:
    job_id = engine.submit()
    lease = start(engine)
    engine.store.jobs.release(lease, lease.job.requeued(time.time(), not_before=time.time() - 1))
    engine.housekeeper.round()
    lease = start(engine) if claimed else engine.store.leases.take("extract")
    # What the one that hung, for longer than its lock lasts, had read before.
    monkeypatch.setattr(engine.store.leases, "due_retries", lambda: [job_id])
    engine.housekeeper.round()
    assert lease is not None
    assert engine.store.leases.renew([lease]) == ["held"]
    assert engine.store.leases.ready_count("extract") == 0


def test_ten_housekeepers_at_once_queue_a_job_once(engine: Engine) -> None:
    jobs = [engine.submit(f"https://media.example/{n}") for n in range(20)]
    for job_id in jobs:
        start(engine)
        let_expire(engine, job_id)
    at_once(lambda _: engine.housekeeper.round(), 10)
    assert {engine.store.jobs.get(job_id).attempt for job_id in jobs} == {1}
    assert engine.store.counters.read()["recovered_jobs_total{reason=lease}"] == 20
    assert engine.run_all() == 20
    assert Counter(engine.attempts) == Counter(jobs)


def test_a_hundred_lost_messages_are_sent_again(engine: Engine, valkey: ValkeyServer) -> None:
    for number in range(100):
        engine.submit(f"https://media.example/{number}")
    clear_messages(valkey)
    assert messages(engine) == 0
    engine.housekeeper.round()
    engine.housekeeper.round()
    assert messages(engine) == 100
    engine.housekeeper.round()
    engine.housekeeper.round()
    assert messages(engine) == 100


def test_clips_whose_downloads_end_nobody_carried_over_go_on(engine: Engine) -> None:
    job_id = engine.submit_download()
    follower = engine.submit_download()
    assert engine.store.jobs.get(follower).wait_reason is WaitReason.DEPENDENCY
    lease = start(engine, "download")
    engine.store.jobs.release(lease, lease.job.cancelled(time.time()))
    assert engine.store.jobs.get(job_id).state is JobState.CANCELLED
    engine.housekeeper.round()
    assert engine.store.jobs.get(follower).wait_reason is None
    assert engine.run_all("download") == 1


def test_one_job_that_cannot_be_helped_does_not_keep_others_from_it(engine: Engine) -> None:
    bad, good = engine.submit(), engine.submit("https://media.example/other")
    for job_id in (bad, good):
        start(engine)
        let_expire(engine, job_id)
    record = engine.store.connection.redis.hget(f"clipmill:job:{bad}", "record")
    engine.store.connection.redis.hset(f"clipmill:job:{bad}", "record", b"{}")
    engine.housekeeper.round()
    assert engine.store.jobs.get(good).state is JobState.QUEUED
    engine.store.connection.redis.hset(f"clipmill:job:{bad}", "record", record)
    engine.housekeeper.round()
    assert engine.store.jobs.get(bad).state is JobState.QUEUED
    assert json.loads(record)["id"] == bad


def test_after_an_outage_the_living_renew_before_anyone_is_declared_lost(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.housekeeper.period_seconds = 0.02
    job_id = engine.submit()
    start(engine)
    let_expire(engine, job_id)
    lock, rounds = engine.store.server.lock, []

    def away_at_first(*arguments: object) -> bool:
        rounds.append(1)
        if len(rounds) == 1:
            raise StoreUnavailable("gone")
        return lock(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.store.server, "lock", away_at_first)
    engine.housekeeper.start()
    try:
        assert eventually(lambda: len(rounds) > 5)
        assert engine.store.jobs.get(job_id).state is JobState.RUNNING
    finally:
        engine.housekeeper.stop()


def test_a_full_store_does_not_keep_lost_jobs_from_their_end(
    engine: Engine, valkey: ValkeyServer
) -> None:
    """What is there must be able to come to its end, or no room is ever made."""
    job_id = engine.submit()
    for _ in range(3):
        start(engine)
        let_expire(engine, job_id)
        if engine.store.jobs.get(job_id).attempt < 3:
            engine.housekeeper.keep_house()
    with valkey.client() as client:
        client.config_set("maxmemory", "1mb")
        assert engine.store.server.lock("housekeeper", "me", 5)
        assert not engine.store.server.lock("housekeeper", "another", 5)
        engine.housekeeper.keep_house()
        engine.store.counters.add({"stray_files_total": 2, "stream_bytes_total": 0.5})
        client.config_set("maxmemory", "0")
    assert engine.store.jobs.get(job_id).state is JobState.FAILED
    assert engine.store.counters.read()["stray_files_total"] == 2


def test_a_housekeeper_that_goes_leaves_the_house_to_the_next_at_once(engine: Engine) -> None:
    engine.housekeeper.period_seconds = 0.02
    engine.housekeeper.start()
    try:
        assert eventually(lambda: engine.store.connection.redis.exists("clipmill:lock:housekeeper"))
        assert not engine.store.server.lock("housekeeper", "next", 5)
    finally:
        engine.housekeeper.stop()
    assert eventually(lambda: engine.store.server.lock("housekeeper", "next", 5), 1)


def test_an_unforeseen_fault_does_not_end_the_housekeeper(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.housekeeper.period_seconds = 0.02
    faults = []

    def fail(*_: object) -> bool:
        faults.append(1)
        raise RuntimeError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(engine.store.leases, "due_retries", fail)
        engine.housekeeper.start()
        try:
            assert eventually(lambda: len(faults) > 2)
        finally:
            engine.housekeeper.stop()
