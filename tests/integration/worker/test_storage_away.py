"""A storage that cannot be read now: jobs wait until it can, and no attempt is counted."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ExceedsMemoryBudget, NetworkError, StorageUnavailable
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import DownloadResult
from tests.support.engine import Engine, Work


def try_again(engine: Engine, job_id: str, kind: str = "download") -> Job:
    """The job after what it waits for has come."""
    engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0}, xx=True)
    engine.housekeeper.round()
    engine.run_all(kind)
    return engine.store.jobs.get(job_id)


def asked_again(engine: Engine) -> str:
    """A download that was there before, and that storage answers."""
    engine.submit_download()
    engine.run_all("download")
    return engine.submit_download()


def assert_waits(engine: Engine, job_id: str, attempt: int = 0) -> None:
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, attempt)
    assert job.wait_reason is WaitReason.DISK
    assert job.not_before is not None
    assert engine.store.server.now() < job.not_before < engine.store.server.now() + 60
    assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_unavailable"


def assert_answered(engine: Engine, job_id: str) -> None:
    job = try_again(engine, job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert isinstance(job.result, DownloadResult)
    assert job.result.deduplicated is True


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_a_job_waits_for_a_storage_that_cannot_be_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The error stands in for a file server's, which cannot be had here."""
    job_id, stat = asked_again(engine), Path.stat

    def fail(path: Path, **named: Any) -> Any:
        if path.parent.parent == engine.artifacts:
            raise OSError(number, "the server has gone")
        return stat(path, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        engine.run_all("download")
    assert_waits(engine, job_id)
    assert_answered(engine, job_id)


def test_a_job_waits_for_a_storage_that_is_not_there_and_takes_no_file_for_lost(
    engine: Engine,
) -> None:
    job_id, elsewhere = asked_again(engine), engine.artifacts.with_name("elsewhere")
    engine.artifacts.rename(elsewhere)
    engine.run_all("download")
    assert_waits(engine, job_id)
    elsewhere.rename(engine.artifacts)
    assert_answered(engine, job_id)


def test_a_job_that_was_tried_before_waits_as_well(engine: Engine) -> None:
    def fail(_: Work) -> None:
        raise NetworkError("reset")

    def away(_: Job) -> Any:
        raise StorageUnavailable("the storage cannot be read")

    job_id, engine.work = engine.submit(), fail
    engine.run_all()
    need_of, engine.need_of = engine.need_of, away  # type: ignore[method-assign]
    try_again(engine, job_id, "extract")
    assert_waits(engine, job_id, attempt=1)
    engine.need_of = need_of  # type: ignore[method-assign]
    engine.work = lambda work: None
    job = try_again(engine, job_id, "extract")
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_a_job_that_was_tried_before_and_can_be_helped_by_no_waiting_ends(engine: Engine) -> None:
    def fail(_: Work) -> None:
        raise NetworkError("reset")

    def too_much(_: Job) -> Any:
        raise ExceedsMemoryBudget("too much")

    job_id, engine.work = engine.submit(), fail
    engine.run_all()
    engine.need_of = too_much  # type: ignore[method-assign]
    job = try_again(engine, job_id, "extract")
    assert (job.state, job.attempt) == (JobState.FAILED, 1)


@pytest.mark.parametrize("content", [b"", b"more than there was"], ids=["shorter", "longer"])
def test_a_file_that_was_altered_answers_no_job(engine: Engine, content: bytes) -> None:
    job_id = asked_again(engine)
    (altered,) = engine.files()
    altered.write_bytes(content)
    engine.run_all("download")
    job = engine.store.jobs.get(job_id)
    assert isinstance(job.result, DownloadResult)
    assert job.result.deduplicated is False
