"""What a job may use is what it reserved: what becomes of one that takes more, or needs more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tasks.errors import JobError, MemoryExceeded
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import DownloadResult
from tests.support.engine import MIB, Engine, Work, in_thread
from tests.support.processes import eventually
from worker.attempt.outcome import Outcome
from worker.engine.budget import Wait
from worker.memory.need import ResourceNeed
from worker.process.limits import ProcessEnd

BUDGET = 512 * MIB
SECONDS = 20.0


def run_now(engine: Engine, job_id: str) -> Job:
    """Run the job without its back-off; how it stands then."""
    engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0}, xx=True)
    engine.housekeeper.round()
    engine.runner.run_next(engine.store.jobs.get(job_id).kind)
    return engine.store.jobs.get(job_id)


def takes_too_much(reserved: list[int], engine: Engine) -> Callable[[Work], None]:
    """Work that is stopped for memory, and notes what it might have used."""

    def work(work: Work) -> None:
        reserved.append(engine.budget.reserved_bytes)
        raise MemoryExceeded("too much")

    return work


def growing(need: ResourceNeed, then: Callable[[Work], Any]) -> Callable[[Work], Any]:
    """Work that needs so much after a while."""

    def work(work: Work) -> Any:
        work.exchange(need, SECONDS)
        return then(work)

    return work


def test_each_attempt_after_one_that_took_too_much_may_use_more_and_the_last_all(
    engine: Engine,
) -> None:
    reserved: list[int] = []
    engine.need_bytes = 100 * MIB
    engine.work = takes_too_much(reserved, engine)
    job_id = engine.submit()
    for _ in range(3):
        job = run_now(engine, job_id)
    assert reserved == [100 * MIB, 300 * MIB, BUDGET]
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("memory_exceeded", True)
    told = {"need_bytes": BUDGET, "budget_bytes": BUDGET, "peak_bytes": 2 * MIB}
    assert job.error.detail == told
    assert engine.budget.reserved_bytes == 0


def test_a_job_of_two_attempts_has_all_there_is_in_its_second(engine: Engine) -> None:
    reserved: list[int] = []
    engine.work = takes_too_much(reserved, engine)
    job_id = engine.submit()
    lease = engine.store.leases.take("extract")
    assert lease is not None
    # (as if a worker had been lost in the first)
    engine.store.jobs.release(lease, lease.job.started(1.0).requeued(2.0))
    for _ in range(2):
        run_now(engine, job_id)
    assert reserved == [MIB, BUDGET]


def test_three_times_more_than_there_is_is_all_there_is(engine: Engine) -> None:
    reserved: list[int] = []
    engine.need_bytes = 400 * MIB
    engine.work = takes_too_much(reserved, engine)
    job_id = engine.submit()
    for _ in range(2):
        run_now(engine, job_id)
    assert reserved == [400 * MIB, BUDGET]


def test_a_client_who_tries_again_begins_with_the_estimate(engine: Engine) -> None:
    reserved: list[int] = []
    engine.work = takes_too_much(reserved, engine)
    job_id = engine.submit()
    for _ in range(3):
        run_now(engine, job_id)
    engine.dispatcher.retry(job_id, "ann")
    run_now(engine, job_id)
    assert reserved == [MIB, 3 * MIB, BUDGET, MIB]


def test_a_result_tells_what_was_expected_and_what_was_used(engine: Engine) -> None:
    job_id = engine.submit_download()
    engine.runner.run_next("download")
    result = engine.store.jobs.get(job_id).result
    assert isinstance(result, DownloadResult)
    assert result.peak_memory_bytes == 2 * MIB
    assert result.estimated_memory_bytes == MIB
    assert result.memory_ratio == 2.0


def test_an_answer_from_storage_used_nothing(engine: Engine) -> None:
    engine.submit_download()
    engine.runner.run_next("download")
    again = engine.submit_download()
    engine.runner.run_next("download")
    result = engine.store.jobs.get(again).result
    assert isinstance(result, DownloadResult)
    assert result.deduplicated is True
    assert (result.peak_memory_bytes, result.estimated_memory_bytes) == (0, 0)
    assert result.memory_ratio is None


def test_an_attempt_that_needs_more_waits_for_it_with_nothing_in_its_hands(
    engine: Engine,
) -> None:
    seen: list[int] = []
    more = ResourceNeed(400 * MIB)

    def then(work: Work) -> None:
        seen.append(engine.budget.reserved_bytes)
        assert work.job.wait_reason is None

    engine.need_bytes = 100 * MIB
    engine.work = growing(more, then)
    job_id = engine.submit()
    with engine.budget.reserve(200 * MIB, wait=Wait(0)):
        thread = in_thread(lambda: engine.runner.run_next("extract"))
        assert eventually(lambda: engine.store.jobs.get(job_id).wait_reason is WaitReason.MEMORY)
        assert engine.store.jobs.get(job_id).state is JobState.RUNNING
        assert engine.budget.reserved_bytes == 200 * MIB
        engine.heartbeat.round()
    thread.join(20)
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, seen) == (JobState.SUCCEEDED, 1, [400 * MIB])
    assert engine.budget.reserved_bytes == 0


def test_what_can_never_fit_ends_when_that_is_known(engine: Engine) -> None:
    engine.work = growing(ResourceNeed(600 * MIB), lambda work: None)
    job_id = engine.submit()
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "exceeds_memory_budget")
    assert engine.budget.reserved_bytes == 0


@pytest.mark.parametrize("end", ["cancelled", "drained"])
def test_who_waits_for_more_hears_that_it_is_to_end(engine: Engine, end: str) -> None:
    engine.need_bytes = 100 * MIB
    engine.work = growing(ResourceNeed(400 * MIB), lambda work: None)
    job_id = engine.submit()
    with engine.budget.reserve(200 * MIB, wait=Wait(0)):
        thread = in_thread(lambda: engine.runner.run_next("extract"))
        assert eventually(lambda: engine.store.jobs.get(job_id).wait_reason is WaitReason.MEMORY)
        if end == "cancelled":
            engine.dispatcher.cancel(job_id, "ann")
            engine.heartbeat.round()
        else:
            engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
        thread.join(5)
        assert not thread.is_alive()
        assert engine.budget.reserved_bytes == 200 * MIB
    job = engine.store.jobs.get(job_id)
    if end == "cancelled":
        assert job.state is JobState.CANCELLED
    else:
        assert (job.state, job.attempt) == (JobState.QUEUED, 0)


def test_two_that_grow_at_once_both_come_to_their_end(engine: Engine) -> None:
    engine.need_bytes = 250 * MIB
    both = threading.Barrier(2, timeout=SECONDS)

    def work(work: Work) -> Outcome:
        both.wait()
        work.exchange(ResourceNeed(400 * MIB), SECONDS)
        return work.produce()

    engine.work = work
    jobs = [engine.submit_download(f"https://media.example/{n}") for n in range(2)]
    threads = [in_thread(lambda: engine.runner.run_next("download")) for _ in jobs]
    for thread in threads:
        thread.join(SECONDS)
    assert {engine.store.jobs.get(job).state for job in jobs} == {JobState.SUCCEEDED}


def test_other_failures_change_nothing_of_what_is_reserved(engine: Engine) -> None:
    def fail(_: Work) -> None:
        raise next(errors)

    errors = iter([JobError("no")])
    engine.work = fail
    job_id = engine.submit()
    engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).memory_floor_bytes == 0
