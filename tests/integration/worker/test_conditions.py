"""A site that wants to be left alone, and a disk that is nearly full: jobs wait, none is lost."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.errors import SiteThrottled, StorageFull
from tasks.job import JobState, WaitReason
from tests.support.engine import Engine, Work
from tests.support.processes import eventually
from worker.process.limits import ProcessEnd

SITE = "https://busy.example"


def throttled(_: Work) -> None:
    raise SiteThrottled("429")


def make_due(engine: Engine) -> None:
    """Every waiting job's time has come."""
    for job_id in engine.store.connection.redis.zrange("clipmill:delayed", 0, -1):
        engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0})
    engine.housekeeper.round()


def let_the_pause_pass(engine: Engine) -> None:
    """The site may be tried again."""
    engine.store.connection.redis.hset("clipmill:site:ann:busy.example", "until", 0)


def test_after_a_refusal_nobody_asks_that_site_and_no_attempt_is_counted(engine: Engine) -> None:
    engine.work = throttled
    jobs = [engine.submit(f"{SITE}/{number}") for number in range(20)]
    other = engine.submit("https://calm.example/")
    engine.runner.run_next("extract")
    engine.work = lambda work: None
    engine.run_all()
    assert engine.attempts == [jobs[0], other]
    assert engine.store.jobs.get(other).state is JobState.SUCCEEDED
    waiting = [engine.store.jobs.get(job_id) for job_id in jobs]
    assert [job.wait_reason for job in waiting] == [WaitReason.RETRY] + 19 * [WaitReason.SITE]
    assert [job.attempt for job in waiting] == [1] + [0] * 19
    assert engine.store.jobs.timeline(jobs[5])[-1]["why"] == "site_throttled"


def test_after_the_pause_one_job_tries_and_opens_the_way_for_the_others(engine: Engine) -> None:
    engine.work = throttled
    jobs = [engine.submit(f"{SITE}/{number}") for number in range(5)]
    engine.run_all()
    assert len(engine.attempts) == 1
    let_the_pause_pass(engine)
    asked: list[float] = []

    def probe(work: Work) -> None:
        asked.append(engine.store.sites.pause("ann", "busy.example"))

    engine.work = probe
    make_due(engine)
    engine.runner.run_next("extract")
    assert asked[0] > 10  # while one tries, the others keep away
    engine.run_all()
    assert {engine.store.jobs.get(job_id).state for job_id in jobs} == {JobState.SUCCEEDED}


def test_each_refusal_in_a_row_doubles_the_pause(engine: Engine) -> None:
    pauses = []
    for _ in range(3):
        engine.store.sites.refused("ann", "busy.example")
        engine.store.sites.refused("ann", "busy.example")  # beside the first: it does not count
        pauses.append(engine.store.sites.pause("ann", "busy.example"))
        let_the_pause_pass(engine)
        assert engine.store.sites.pause("ann", "busy.example") == 0
    assert pauses == pytest.approx([30.0, 60.0, 120.0], abs=5.0)
    engine.store.sites.served("ann", "busy.example")
    assert engine.store.sites.pause("ann", "busy.example") == 0


def test_while_the_disk_is_nearly_full_nothing_starts_and_nothing_fails(engine: Engine) -> None:
    engine.free_bytes = 10
    job_id = engine.submit_download()
    engine.run_all("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, engine.attempts) == (JobState.QUEUED, 0, [])
    assert job.wait_reason is WaitReason.DISK
    assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_full"
    engine.free_bytes = 10**12
    make_due(engine)
    engine.run_all("download")
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED


def test_a_disk_that_runs_full_puts_the_job_off(engine: Engine) -> None:
    job_id = engine.submit_download()

    def work(work: Work) -> Any:
        engine.free_bytes = 10
        engine.disk.round()
        assert work.leased.stop.reason is ProcessEnd.DISK
        raise StorageFull("the disk of this machine ran full")  # what the tools make of it

    engine.work = work
    engine.runner.run_next("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.wait_reason) == (JobState.QUEUED, 1, WaitReason.RETRY)
    assert engine.files() == []


def test_a_cancel_reaches_a_job_that_was_put_off(engine: Engine) -> None:
    engine.free_bytes = 10
    job_id = engine.submit_download()
    engine.run_all("download")
    engine.dispatcher.cancel(job_id, "ann")
    assert engine.store.jobs.get(job_id).state is JobState.CANCELLED
    engine.free_bytes = 10**12
    assert eventually(lambda: engine.run_all("download") == 0)
