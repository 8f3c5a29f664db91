"""Disks that are full or cannot be written: nothing half done is seen, and work goes on later."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.timings import Timings
from tasks.errors import StorageUnavailable
from tasks.job import Job, JobState
from tasks.storage import folder, open_storage
from tests.support.engine import Engine, Work
from tests.support.processes import eventually
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer
from tests.support.volumes import Volume, bad_disk, small_volume
from worker.attempt.outcome import Outcome
from worker.engine.workspace import WorkFolder


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """Four MiB, where `engine` keeps its artifacts."""
    with small_volume(tmp_path / "data" / "artifacts", "4m") as volume:
        yield volume


@pytest.fixture
def timings() -> Timings:
    return Timings(removal_retry_seconds=0.1)


@pytest.fixture
def engine(
    valkey: ValkeyServer, tmp_path: Path, volume: Volume, timings: Timings
) -> Iterator[Engine]:
    with Engine(valkey.url, tmp_path / "data", timings=timings) as engine:
        yield engine


def try_again(engine: Engine, job_id: str) -> Job:
    engine.store.connection.redis.zadd("clipmill:delayed", {job_id: 0}, xx=True)
    engine.housekeeper.round()
    engine.run_all("download")
    return engine.store.jobs.get(job_id)


def files_in(volume: Volume) -> list[Path]:
    return [path for path in volume.path.glob("*/*") if path.is_file()]


def test_a_result_that_does_not_fit_waits_and_is_stored_when_there_is_room(
    engine: Engine, volume: Volume
) -> None:
    ballast = volume.fill()
    engine.work = lambda work: work.produce(b"x" * 100_000)
    job_id = engine.submit_download()
    engine.run_all("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert files_in(volume) == []
    assert list(engine.work_folder.path.iterdir()) == []
    ballast.unlink()
    assert try_again(engine, job_id).state is JobState.SUCCEEDED
    assert [path.stat().st_size for path in files_in(volume)] == [100_000]


def test_a_result_larger_than_the_disk_fails_with_the_reason(
    engine: Engine, volume: Volume
) -> None:
    engine.work = lambda work: work.produce(b"x" * 5_000_000)
    job_id = engine.submit_download()
    engine.run_all("download")
    for _ in range(2):
        job = try_again(engine, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert job.error is not None
    assert job.error.code == "storage_full"
    assert files_in(volume) == []


def test_a_disk_that_turns_read_only_holds_jobs_up_and_readiness_says_so(
    engine: Engine, volume: Volume, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        assert client.get("/readyz").status_code == 200
        volume.set_read_only(True)
        assert client.get("/readyz").status_code == 503
        job_id = engine.submit_download()
        engine.run_all("download")
        job = engine.store.jobs.get(job_id)
        assert (job.state, job.attempt) == (JobState.QUEUED, 1)
        volume.set_read_only(False)
        assert try_again(engine, job_id).state is JobState.SUCCEEDED
        assert client.get("/readyz").status_code == 200


def test_a_folder_that_could_not_be_removed_goes_when_the_disk_can_be_written_again(
    tmp_path: Path, timings: Timings
) -> None:
    with small_volume(tmp_path / "work", "4m") as volume:
        work_folder = WorkFolder(volume.path, "worker", timings)
        with work_folder.workspace("job", "token") as folder:
            (folder / "made.mp4").write_bytes(b"media")
            volume.set_read_only(True)
        assert folder.exists()
        volume.set_read_only(False)
        assert eventually(lambda: not folder.exists())
        work_folder.close()


def test_a_part_of_a_result_on_a_disk_that_closed_goes_when_it_is_open_again(
    engine: Engine, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes the bytes, and then neither their name nor their removal."""
    move = folder._move

    def move_and_close(source: Path, target: Path) -> None:
        move(source, target)
        volume.set_read_only(True)

    job_id = engine.submit_download()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "_move", move_and_close)
        engine.run_all("download")
    assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_unavailable"
    assert [path.suffix for path in files_in(volume)] == [".part"]
    volume.set_read_only(False)
    assert eventually(lambda: files_in(volume) == [])
    assert try_again(engine, job_id).state is JobState.SUCCEEDED


def test_a_folder_that_is_gone_holds_jobs_up_until_it_is_back(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    """As when a network disk is not mounted: nothing is made in its place."""
    root = tmp_path / "network"
    with (
        Engine(valkey.url, tmp_path / "data", storage_url=root.as_uri()) as engine,
        Api(tmp_path, valkey.url, storage_url=root.as_uri()) as api,
        api.client() as client,
    ):
        root.rmdir()
        not_ready = client.get("/readyz")
        assert not_ready.status_code == 503
        reason = not_ready.json()["services"]["storage"]["reason"]
        assert reason == "artifacts cannot be stored: No such file or directory"
        job_id = engine.submit_download()
        engine.run_all("download")
        job = engine.store.jobs.get(job_id)
        assert (job.state, job.attempt) == (JobState.QUEUED, 1)
        assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_unavailable"
        assert not root.exists()
        root.mkdir()
        assert try_again(engine, job_id).state is JobState.SUCCEEDED
        assert client.get("/readyz").status_code == 200


def test_a_work_disk_that_loses_what_was_written_makes_no_result(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Input/output errors of the kernel, from a real disk that has lost its end."""
    with (
        bad_disk(tmp_path / "data" / "work") as disk,
        Engine(valkey.url, tmp_path / "data") as engine,
    ):

        def work(work: Work) -> Outcome:
            made = work.produce(b"x" * 20_000_000)
            disk.lose(made.files[0].path)
            with pytest.raises(OSError, match="Input/output error"):
                made.files[0].path.read_bytes()
            return made

        engine.work = work
        job_id = engine.submit_download()
        engine.run_all("download")
        job = engine.store.jobs.get(job_id)
        assert (job.state, job.attempt) == (JobState.QUEUED, 1)
        assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_unavailable"
        assert [path for path in engine.artifacts.rglob("*") if path.is_file()] == []
        engine.work = lambda work: work.produce()
        assert try_again(engine, job_id).state is JobState.SUCCEEDED


def test_a_work_disk_that_cannot_be_written_costs_no_attempt(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    with (
        small_volume(tmp_path / "data" / "work", "4m") as work_disk,
        Engine(valkey.url, tmp_path / "data") as engine,
    ):
        work_disk.set_read_only(True)
        job_id = engine.submit_download()
        for _ in range(4):
            job = try_again(engine, job_id)
            assert (job.state, job.attempt) == (JobState.QUEUED, 0)
            assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_unavailable"
        work_disk.set_read_only(False)
        assert try_again(engine, job_id).state is JobState.SUCCEEDED


def test_a_storage_that_cannot_be_written_says_so(volume: Volume) -> None:
    storage = open_storage(volume.path.as_uri())
    assert (storage.free_bytes() or 0) > 0
    volume.set_read_only(True)
    with pytest.raises(StorageUnavailable):
        storage.free_bytes()
    volume.set_read_only(False)
    assert (storage.free_bytes() or 0) > 0


def test_a_work_disk_without_an_inode_holds_jobs_up(valkey: ValkeyServer, tmp_path: Path) -> None:
    with (
        small_volume(tmp_path / "data" / "work", "1m", inodes=4) as work_disk,
        Engine(valkey.url, tmp_path / "data") as engine,
    ):
        for number in range(2):  # beside the root's and the worker's own
            (work_disk.path / f"taken{number}").touch()
        with pytest.raises(OSError, match="No space left"):
            (work_disk.path / "one too many").touch()
        job_id = engine.submit_download()
        engine.run_all("download")
        assert engine.store.jobs.timeline(job_id)[-1]["why"] == "storage_full"
        for taken in work_disk.path.glob("taken*"):
            taken.unlink()
        assert try_again(engine, job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ESTALE, "storage_unavailable"),
        (errno.EIO, "storage_unavailable"),
        (errno.EDQUOT, "storage_full"),
    ],
)
def test_a_disk_that_fails_in_the_middle_of_a_move_leaves_no_part(
    engine: Engine, volume: Volume, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    """The error stands in for a file server's, which cannot be had here."""

    def fail(*_: object) -> None:
        raise OSError(number, "the server has gone")

    job_id = engine.submit_download()
    with monkeypatch.context() as patch:
        patch.setattr("tasks.storage.folder.os.fsync", fail)
        engine.run_all("download")
    assert engine.store.jobs.timeline(job_id)[-1]["why"] == code
    assert files_in(volume) == []
    assert try_again(engine, job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "storage_full"),
        (OSError(errno.EROFS, "read-only"), "storage_unavailable"),
        (OSError(errno.EAGAIN, "no process"), "tool_failed"),
        (OSError(errno.EMFILE, "no descriptor"), "tool_failed"),
        (RuntimeError("can't start new thread"), "tool_failed"),
    ],
    ids=["full disk", "read-only disk", "processes", "descriptors", "threads"],
)
def test_what_this_machine_lacks_now_it_may_have_later(
    engine: Engine, error: Exception, code: str
) -> None:
    def work(_: Work) -> None:
        raise error

    engine.work = work
    job_id = engine.submit_download()
    engine.run_all("download")
    job = engine.store.jobs.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert engine.store.jobs.timeline(job_id)[-1]["why"] == code
