"""Where jobs wait for memory: in fair order at one worker, or at another that has room for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.timings import Timings
from tasks.job import Job, JobState, WaitReason
from tasks.metrics.report import WorkerReport
from tests.support.engine import MIB, URL, Engine, Work, in_thread
from tests.support.processes import eventually
from tests.support.valkey import ValkeyServer
from worker.engine.budget import BYPASSES, MOST_BYPASSES, Wait
from worker.memory.need import ResourceNeed
from worker.process.limits import ProcessEnd, Stopped

SECONDS = 20.0


def there_is(engine: Engine, budget_mib: int, **told: Any) -> None:
    """Another worker says that it is there, idle unless something else is told."""
    values: dict[str, Any] = {
        "id": "other", "host": "elsewhere", "seen_at": time.time(), "concurrency": 4, "running": 0,
        "memory_budget_bytes": budget_mib * MIB, "memory_reserved_bytes": 0,
        "memory_used_bytes": 0, "disk_free_bytes": 10**12, "kinds": ("extract",),
    }  # fmt: skip
    engine.store.workers.report(WorkerReport(**values | told))


def make_due(engine: Engine, job_id: str) -> Job:
    """The time of a job that was put off comes."""
    engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0}, xx=True)
    engine.housekeeper.round()
    return engine.store.jobs.get(job_id)


def story(engine: Engine, job_id: str) -> list[str]:
    """What happened to a job."""
    return [line["event"] for line in engine.store.jobs.timeline(job_id)]


@contextmanager
def workers_of(engine: Engine, places: int) -> Iterator[None]:
    """So many threads that run jobs, as the places of a worker do."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            if not engine.runner.run_next("extract"):
                over.wait(0.01)

    threads = [in_thread(work) for _ in range(places)]
    try:
        yield
    finally:
        over.set()
        engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
        for thread in threads:
            thread.join(SECONDS)
        assert not any(thread.is_alive() for thread in threads)


# The patience ends before any of the jobs does.
IMPATIENT = Timings(admission_patience_seconds=0.1)
impatient = pytest.mark.parametrize("timings", [IMPATIENT], ids=["impatient"])
LARGE = 9  # the priority of jobs that need more: known before their id is


@impatient
def test_small_jobs_that_stream_for_longer_than_the_patience_hold_a_large_one_up_only_so_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def need_of(job: Job) -> ResourceNeed:
        return ResourceNeed((480 if job.priority == LARGE else 150) * MIB)

    def work(work: Work) -> None:
        if work.job.priority != LARGE:
            engine.submit()
            time.sleep(0.3)

    monkeypatch.setattr(engine, "need_of", need_of)
    engine.work = work
    for _ in range(8):
        engine.submit()
    with workers_of(engine, places=4):
        assert eventually(lambda: len(engine.attempts) >= 4)
        large = engine.submit(priority=LARGE)
        assert eventually(lambda: engine.store.jobs.get(large).wait_reason is WaitReason.MEMORY)
        before = len(engine.attempts)
        assert eventually(lambda: large in engine.attempts, SECONDS)
        # (so many may pass; two more may have begun while we looked)
        assert engine.attempts.index(large) - before <= BYPASSES + 2
        assert eventually(lambda: engine.store.jobs.get(large).state is JobState.SUCCEEDED)
    assert story(engine, large)[:3] == ["queued", "waiting", "running"]


@impatient
def test_of_two_workers_that_each_seem_to_have_room_for_it_one_begins_the_large_job_in_the_end(
    engine: Engine,
    timings: Timings,
    valkey: ValkeyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their reports tell of room that small jobs take first, so that it is sent to and fro."""
    with Engine(valkey.url, tmp_path / "second", timings=timings) as second:

        def need_of(job: Job) -> ResourceNeed:
            return ResourceNeed((480 if job.priority == LARGE else 150) * MIB)

        def work(work: Work) -> None:
            if work.job.priority != LARGE:
                engine.submit()
                time.sleep(0.3)

        for it in (engine, second):
            monkeypatch.setattr(it, "need_of", need_of)
            it.work = work
        there_is(engine, 512)
        for _ in range(16):
            engine.submit()
        with workers_of(engine, places=4), workers_of(second, places=4):
            assert eventually(lambda: len(engine.attempts + second.attempts) >= 6)
            large = engine.submit(priority=LARGE)
            begun = len(engine.attempts + second.attempts)
            assert eventually(lambda: large in engine.attempts + second.attempts, SECONDS)
            # (at most so often sent away, and eight small jobs may begin each time)
            passed = len(engine.attempts + second.attempts) - begun
            assert passed <= BYPASSES + 8 * MOST_BYPASSES
            assert eventually(lambda: engine.store.jobs.get(large).state is JobState.SUCCEEDED)
    assert story(engine, large).count("ready") <= MOST_BYPASSES


@impatient
def test_a_job_that_waits_long_goes_back_when_another_worker_has_room(engine: Engine) -> None:
    there_is(engine, 512)
    job_id = engine.submit()
    engine.need_bytes = 300 * MIB
    with engine.budget.reserve(300 * MIB, wait=Wait(0)):
        engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.wait_reason) == (JobState.QUEUED, 0, None)
    assert job.times_bypassed == 1
    assert engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED


@impatient
@pytest.mark.parametrize(
    "told",
    [
        {"memory_reserved_bytes": 300 * MIB},
        {"running": 4},
        {"kinds": ("clip",)},
        {"disk_free_bytes": 1, "disk_floor_bytes": 2},
    ],
)
def test_it_keeps_its_place_when_no_other_could_begin_it(
    engine: Engine, told: dict[str, Any]
) -> None:
    there_is(engine, 512, **told)
    job_id = engine.submit()
    engine.need_bytes = 300 * MIB
    with engine.budget.reserve(300 * MIB, wait=Wait(0)):
        thread = in_thread(lambda: engine.runner.run_next("extract"))
        thread.join(1)
        assert thread.is_alive()
        assert engine.store.jobs.get(job_id).wait_reason is WaitReason.MEMORY
        engine.heartbeat.round()
    thread.join(SECONDS)
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED
    assert story(engine, job_id)[:3] == ["queued", "waiting", "running"]


@impatient
@pytest.mark.parametrize("end", ["cancelled", "drained"])
def test_a_cancel_and_a_drain_end_a_wait_that_lasts(engine: Engine, end: str) -> None:
    job_id = engine.submit()
    engine.need_bytes = 300 * MIB
    with engine.budget.reserve(300 * MIB, wait=Wait(0)):
        thread = in_thread(lambda: engine.runner.run_next("extract"))
        thread.join(0.5)
        assert thread.is_alive()
        if end == "cancelled":
            engine.dispatcher.cancel(job_id, "ann")
            engine.heartbeat.round()
        else:
            engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
        thread.join(5)
        assert not thread.is_alive()
    job = engine.store.jobs.get(job_id)
    state = JobState.CANCELLED if end == "cancelled" else JobState.QUEUED
    assert (job.state, job.attempt, engine.attempts) == (state, 0, [])


@pytest.mark.parametrize("timings", [replace(IMPATIENT, site_probe_seconds=0.0)], ids=["impatient"])
def test_a_site_that_was_closed_during_the_wait_is_not_asked(engine: Engine) -> None:
    job_id = engine.submit()
    engine.need_bytes = 300 * MIB
    with engine.budget.reserve(300 * MIB, wait=Wait(0)):
        thread = in_thread(lambda: engine.runner.run_next("extract"))
        assert eventually(lambda: engine.store.jobs.get(job_id).wait_reason is WaitReason.MEMORY)
        engine.store.sites.refused("ann", "media.example")
    thread.join(SECONDS)
    job = engine.store.jobs.get(job_id)
    assert (job.wait_reason, job.attempt, engine.attempts) == (WaitReason.SITE, 0, [])


def test_a_job_that_only_a_larger_worker_can_hold_waits_for_it(engine: Engine) -> None:
    there_is(engine, 1024)
    engine.need_bytes = 600 * MIB
    job_id = engine.submit()
    for _ in range(5):
        engine.runner.run_next("extract")
        job = make_due(engine, job_id)
        assert (job.state, job.wait_reason) == (JobState.QUEUED, WaitReason.MEMORY)
    assert engine.attempts == []
    assert story(engine, job_id) == ["queued", "waiting"]
    engine.budget.total_bytes = 1024 * MIB  # as the larger one has
    engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("told", [None, {"memory_budget_bytes": 512 * MIB}, {"kinds": ("clip",)}])
def test_it_fails_when_nobody_has_more(engine: Engine, told: dict[str, Any] | None) -> None:
    """The largest decides, so that two who both refuse a job do not pass it on for ever."""
    if told is not None:
        there_is(engine, 1024, **told)
    engine.need_bytes = 600 * MIB
    job_id = engine.submit()
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "exceeds_memory_budget"
    assert job.error.detail == {"need_bytes": 600 * MIB, "budget_bytes": 512 * MIB}


def test_an_attempt_that_turns_out_to_need_a_larger_worker_goes_back_and_begins_here_no_more(
    engine: Engine,
) -> None:
    there_is(engine, 1024)
    engine.work = lambda work: work.exchange(ResourceNeed(600 * MIB), SECONDS)
    job_id = engine.submit()
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.memory_floor_bytes) == (JobState.QUEUED, 0, 600 * MIB)
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.wait_reason, len(engine.attempts)) == (WaitReason.MEMORY, 1)


@impatient
def test_who_waited_for_more_too_long_goes_back_with_its_attempt_and_asks_for_it_at_once(
    engine: Engine,
) -> None:
    there_is(engine, 512)
    engine.need_bytes = 100 * MIB
    engine.work = lambda work: work.exchange(ResourceNeed(400 * MIB), SECONDS)
    job_id = engine.submit()
    with engine.budget.reserve(200 * MIB, wait=Wait(0)):
        engine.runner.run_next("extract")
        job = engine.store.jobs.get(job_id)
        assert (job.state, job.attempt) == (JobState.QUEUED, 0)
        assert (job.memory_floor_bytes, job.wait_reason) == (400 * MIB, None)
        engine.runner.run_next("extract")
        assert len(engine.attempts) == 1  # it did not begin what it cannot end
    engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED


def test_who_waits_for_more_goes_back_when_its_time_is_over(engine: Engine) -> None:
    engine.need_bytes = 100 * MIB
    engine.work = lambda work: work.exchange(ResourceNeed(400 * MIB), 0.3)
    job_id = engine.submit()
    with engine.budget.reserve(200 * MIB, wait=Wait(0)):
        engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.memory_floor_bytes) == (JobState.QUEUED, 0, 400 * MIB)


def test_a_drain_sends_back_at_once_what_has_not_begun_and_lets_the_rest_end(
    engine: Engine,
) -> None:
    running, waiting = engine.submit(f"{URL}/1"), engine.submit(f"{URL}/2")
    leases = [engine.store.leases.take("extract") for _ in (running, waiting)]
    assert leases[0] is not None
    assert leases[1] is not None
    with (
        engine.heartbeat.holding(leases[0]) as first,
        engine.heartbeat.holding(leases[1]) as second,
    ):
        first.change(lambda job: job.started(time.time()))
        engine.heartbeat.stop_waiting(ProcessEnd.SHUTDOWN)
        assert (first.stop.reason, second.stop.reason) == (None, ProcessEnd.SHUTDOWN)
        engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
        assert first.stop.reason is ProcessEnd.SHUTDOWN


def test_a_job_that_is_taken_during_a_drain_is_given_back_with_its_attempt(engine: Engine) -> None:
    job_id = engine.submit()
    engine.heartbeat.stop_waiting(ProcessEnd.SHUTDOWN)

    def work(work: Work) -> None:
        if work.leased.stop.reason is not None:
            raise Stopped(work.leased.stop.reason)  # as every tool does

    engine.work = work
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
