"""One job from the message to its end, on a real store: what goes wrong on the way is the job's."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from config.timings import PRODUCTION
from tasks.errors import (
    JobAlreadyFinal,
    NetworkError,
    SourceFailed,
    StorageFull,
    StoreUnavailable,
    Unavailable,
)
from tasks.job import JobState, WaitReason
from tests.support.engine import MIB, URL, Engine, Work, in_thread
from tests.support.processes import eventually
from tests.support.records import Records
from tests.support.valkey import ValkeyServer
from worker.process.limits import ProcessEnd, Stopped


def raising(error: BaseException) -> Any:
    def work(_: Work) -> None:
        raise error

    return work


def too_deep(work: Work) -> None:
    too_deep(work)


def take_over(engine: Engine, job_id: str) -> None:
    """What happens when the lease ran out: the housekeeper queues the job again."""
    engine.store.connection.redis.zadd("clipmill:leases", {job_id: 0})
    engine.store.connection.redis.hset(f"clipmill:job:{job_id}", "lease_until", 0)
    engine.housekeeper.round()


def test_a_job_runs_once_and_delivers_its_file(engine: Engine) -> None:
    job_id = engine.submit_download()
    assert engine.runner.run_next("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert job.result is not None
    artifact = engine.store.artifacts.get(job.result.artifacts[0].id)
    assert engine.files() == [engine.artifacts / artifact.storage_key]
    assert not engine.runner.run_next("download")


def test_ten_messages_for_one_job_are_one_run(engine: Engine) -> None:
    job_id = engine.submit()
    threads = [in_thread(lambda: engine.runner.run_next("extract")) for _ in range(10)]
    for thread in threads:
        thread.join(20)
    assert engine.attempts == [job_id]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), SystemExit(3), KeyboardInterrupt(), ValueError("a secret"), OSError(22, "no")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_job_raises_is_its_own_end(engine: Engine, error: BaseException) -> None:
    job_id = engine.submit()
    engine.work = raising(error)
    assert engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "internal_error")
    assert job.error is not None
    assert "secret" not in f"{job.error}"
    assert engine.files() == []


def test_a_job_that_calls_itself_without_end_fails(engine: Engine) -> None:
    job_id = engine.submit()
    engine.work = too_deep
    engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).state is JobState.FAILED


def test_what_can_be_tried_again_waits_and_keeps_count(engine: Engine) -> None:
    job_id = engine.submit()
    engine.work = raising(NetworkError("reset"))
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.wait_reason) == (JobState.QUEUED, 1, WaitReason.RETRY)
    assert job.not_before is not None
    assert job.not_before > time.time()


def test_after_its_last_attempt_a_job_fails_with_the_reason(engine: Engine) -> None:
    job_id = engine.submit()
    engine.work = raising(StorageFull("full"))
    for _ in range(3):
        engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0}, xx=True)
        engine.housekeeper.round()
        engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("storage_full", True)


def test_what_trying_cannot_mend_is_not_tried_again(engine: Engine) -> None:
    job_id = engine.submit()
    engine.work = raising(Unavailable("gone"))
    engine.runner.run_next("extract")
    assert engine.store.jobs.get(job_id).attempt == 1
    assert engine.store.jobs.get(job_id).state is JobState.FAILED


def test_a_job_that_can_never_fit_fails_before_it_starts(engine: Engine) -> None:
    job_id = engine.submit()
    engine.need_bytes = 600 * MIB
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, engine.attempts) == (JobState.FAILED, 0, [])
    assert job.error is not None
    assert job.error.code == "exceeds_memory_budget"
    assert job.error.detail == {"need_bytes": 600 * MIB, "budget_bytes": 512 * MIB}
    assert "600" in job.error.message
    assert "512" in job.error.message


def test_a_job_that_waits_for_memory_says_so_and_runs_when_there_is_some(engine: Engine) -> None:
    engine.need_bytes = 400 * MIB
    go_on = threading.Event()
    engine.work = lambda work: go_on.wait(20)
    jobs = [engine.submit() for _ in range(2)]
    threads = [in_thread(lambda: engine.runner.run_next("extract")) for _ in jobs]

    def waiting() -> list[str]:
        return [job for job in jobs if engine.store.jobs.get(job).wait_reason is WaitReason.MEMORY]

    assert eventually(waiting)
    assert engine.budget.reserved_bytes == 400 * MIB
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert {engine.store.jobs.get(job).state for job in jobs} == {JobState.SUCCEEDED}
    assert engine.budget.reserved_bytes == 0


def test_whoever_lost_the_lease_removes_what_it_made_and_changes_nothing(engine: Engine) -> None:
    job_id = engine.submit_download()

    def work(work: Work) -> Any:
        take_over(engine, job_id)
        return work.produce()

    engine.work = work
    engine.runner.run_next("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.result) == (JobState.QUEUED, 1, None)
    assert engine.files() == []
    engine.work = lambda work: None
    engine.runner.run_next("download")
    assert engine.store.jobs.get(job_id).attempt == 2
    assert len(engine.files()) == 1


def test_a_lease_lost_between_the_file_and_the_record_leaves_no_file(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = engine.submit_download()
    put = engine.storage.put

    def put_and_lose(*arguments: Any) -> Any:
        stored = put(*arguments)
        take_over(engine, job_id)
        return stored

    monkeypatch.setattr(engine.storage, "put", put_and_lose)
    engine.runner.run_next("download")
    assert engine.store.jobs.get(job_id).state is JobState.QUEUED
    assert engine.files() == []


@pytest.mark.parametrize("where", ["in the middle of the file", "before the record"])
def test_a_worker_that_dies_while_it_publishes_leaves_one_file_in_the_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    job_id = engine.submit_download()

    class Death(BaseException):
        """The thread stops here, as if the process had."""

    def die(*_: object, **__: object) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(engine.store.jobs, "release", die)
        if where == "in the middle of the file":
            patch.setattr(Path, "replace", lambda path, target: die(path.rename(target)))
        # Nobody tidies up after a kill -9.
        patch.setattr(engine.storage, "delete", lambda key: None)
        with pytest.raises(Death):
            engine.runner.run_next("download")
    assert len(engine.files()) == 1
    take_over(engine, job_id)
    assert engine.files() == []
    engine.runner.run_next("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, len(engine.files())) == (JobState.SUCCEEDED, 2, 1)


def test_a_cancel_ends_the_run_and_its_files(engine: Engine) -> None:
    job_id = engine.submit_download()

    def work(work: Work) -> None:
        work.produce()
        engine.dispatcher.cancel(job_id, "ann")
        engine.heartbeat.round()
        raise Stopped(work.leased.stop.wait(5) or ProcessEnd.LOST)

    engine.work = work
    engine.runner.run_next("download")
    assert engine.store.jobs.get(job_id).state is JobState.CANCELLED
    assert engine.files() == []


def test_a_cancel_that_meets_the_finish_gives_one_end_and_files_that_agree(
    engine: Engine,
) -> None:
    ends = set()
    for number in range(60):
        job_id = engine.submit_download(f"{URL}/{number}")
        refused = threading.Event()

        def cancel(job_id: str = job_id, refused: threading.Event = refused) -> None:
            try:
                engine.dispatcher.cancel(job_id, "ann")
            except JobAlreadyFinal:
                refused.set()

        runner = in_thread(lambda: engine.runner.run_next("download"))
        canceller = threading.Timer(number % 12 / 1000, cancel)
        canceller.start()
        canceller.join(20)
        runner.join(20)
        engine.run_all("download")  # a job taken and cancelled meanwhile
        job = engine.store.jobs.get(job_id)
        ends.add(job.state)
        assert job.state is (JobState.SUCCEEDED if refused.is_set() else JobState.CANCELLED)
        if job.state is JobState.SUCCEEDED:
            engine.dispatcher.delete(job_id, "ann")
        assert engine.files() == []
    assert ends == {JobState.SUCCEEDED, JobState.CANCELLED}


def test_a_drain_gives_the_job_back_with_its_attempt(engine: Engine) -> None:
    job_id = engine.submit()

    def work(work: Work) -> None:
        engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
        raise Stopped(work.leased.stop.wait(5) or ProcessEnd.LOST)

    engine.work = work
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt, job.started_at) == (JobState.QUEUED, 0, None)


def test_a_job_that_comes_after_the_call_to_stop_is_told_at_once(engine: Engine) -> None:
    engine.submit()
    engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
    seen = []
    engine.work = lambda work: seen.append(work.leased.stop.reason)
    engine.runner.run_next("extract")
    assert seen == [ProcessEnd.SHUTDOWN]


def test_an_outage_of_the_store_at_the_last_write_loses_no_result(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    with Engine(own_valkey.url, tmp_path / "data") as engine:
        job_id = engine.submit_download()
        put = engine.storage.put

        def put_then_outage(*arguments: Any) -> Any:
            stored = put(*arguments)
            time.sleep(1.2)  # the server's log reaches the disk each second
            own_valkey.kill()
            threading.Timer(2.0, own_valkey.start).start()
            return stored

        engine.storage.put = put_then_outage  # type: ignore[method-assign]
        engine.runner.run_next("download")
        job = engine.store.jobs.get(job_id)
        assert (job.state, job.attempt, len(engine.files())) == (JobState.SUCCEEDED, 1, 1)
        with own_valkey.client() as client:
            Records(client).check(engine.store)


@pytest.mark.parametrize("hurry", [False, True], ids=["asked again", "not asked again"])
def test_a_result_whose_answer_was_lost_keeps_its_file(engine: Engine, hurry: bool) -> None:
    """The write came through, the word of it did not: whoever deletes now loses a result."""
    job_id = engine.submit_download()
    run, lost = engine.store.connection.run, []

    def answer_lost(script: str, *arguments: Any, **named: Any) -> Any:
        answer = run(script, *arguments, **named)
        if script == "change" and '"succeeded"' in arguments[2] and not lost:
            lost.append(script)
            if hurry:
                engine.heartbeat.stop_all(ProcessEnd.SHUTDOWN)
            raise StoreUnavailable("the connection was reset")
        return answer

    engine.store.connection.run = answer_lost  # type: ignore[method-assign]
    if hurry:
        with pytest.raises(StoreUnavailable):
            engine.runner.run_next("download")
    else:
        engine.runner.run_next("download")
    assert engine.store.jobs.get(job_id).state is JobState.SUCCEEDED
    assert len(engine.files()) == 1
    assert lost == ["change"]


def test_a_clip_whose_source_is_gone_fails_before_it_starts(engine: Engine) -> None:
    def gone(job: Any) -> Any:
        raise SourceFailed("the source of this job is gone")

    engine.need_of = gone  # type: ignore[method-assign]
    job_id = engine.submit()
    engine.runner.run_next("extract")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "source_failed")


def test_the_lease_is_renewed_long_before_it_ends(engine: Engine) -> None:
    engine.submit()
    left = []

    def work(work: Work) -> None:
        engine.heartbeat.round()
        ends = engine.store.connection.redis.zscore("clipmill:leases", work.job.id)
        left.append(ends - engine.store.server.now())

    engine.work = work
    engine.runner.run_next("extract")
    longest = PRODUCTION.lease_seconds
    assert longest - 5 < left[0] <= longest
