"""What is kept: results for their time, the longest unused first to go, never what is in use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from config.timings import PRODUCTION
from tasks.dispatch import JobRequest
from tasks.errors import ArtifactExpired, NotFound, StoreFull
from tasks.job import JobState
from tasks.kinds import ClipSpec
from tasks.specs import Source
from tests.support.engine import URL, Engine
from tests.support.records import new_id
from worker.upkeep.retention import Retention

DAY = 24 * 3600.0


def download(engine: Engine, name: str, size_bytes: int = 100) -> tuple[str, str]:
    """A finished download: the ids of the job and of its artifact."""
    engine.work = lambda work: work.produce(b"x" * size_bytes)
    job_id = engine.submit_download(f"{URL}/{name}")
    engine.run_all("download")
    result = engine.store.jobs.get(job_id).result
    assert result is not None
    return job_id, result.artifacts[0].id


def used_ago(engine: Engine, artifact_id: str, seconds: float) -> None:
    engine.store.connection.redis.zadd(
        "clipmill:artifacts", {artifact_id: engine.store.server.now() - seconds}
    )


def is_there(engine: Engine, artifact_id: str) -> bool:
    try:
        return engine.storage.has(engine.store.artifacts.get(artifact_id).storage_key)
    except ArtifactExpired:
        return False


def limited_to(engine: Engine, limit_bytes: int) -> Retention:
    return Retention(
        engine.store, engine.storage, ttl_seconds=DAY, limit_bytes=limit_bytes, job_ttl_seconds=DAY
    )


def test_final_jobs_of_long_ago_are_forgotten_with_their_files(engine: Engine) -> None:
    old = Retention(
        engine.store, engine.storage, ttl_seconds=DAY, limit_bytes=None, job_ttl_seconds=0.2
    )
    source, _ = download(engine, "source")
    forgotten, _ = download(engine, "forgotten")
    waiting = engine.submit()
    clip = JobRequest(ClipSpec(Source(job_id=source), 0.0, 1.0))
    engine.dispatcher.submit(clip, "ann")
    time.sleep(0.25)
    young, _ = download(engine, "young")
    old.forget()
    left = {job_id for job_id in (source, forgotten, waiting, young) if known(engine, job_id)}
    assert left == {source, waiting, young}
    assert len(engine.files()) == 2


def hours_ago(hours: float) -> Callable[[], int]:
    """The clock by which an id is made."""
    return lambda: int((time.time() - hours * 3600) * 1e9)


def an_hour(engine: Engine) -> Retention:
    return Retention(
        engine.store, engine.storage, ttl_seconds=DAY, limit_bytes=None, job_ttl_seconds=3600
    )


def test_the_time_of_a_result_begins_when_it_is_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the job has waited, or failed, before."""
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", hours_ago(5))
        slow, _ = download(engine, "slow")
        again = engine.submit(f"{URL}/again")
    engine.dispatcher.cancel(again, "ann")
    engine.store.connection.redis.zadd(
        "clipmill:final", {again: engine.store.server.now() - 5 * 3600}
    )
    engine.dispatcher.retry(again, "ann")
    an_hour(engine).forget()
    assert engine.run_all() == 1
    an_hour(engine).forget()
    assert known(engine, slow)
    assert known(engine, again)
    assert len(engine.files()) == 1


def test_sources_that_are_still_in_use_keep_nobody_behind_them_from_being_forgotten(
    engine: Engine,
) -> None:
    sources = [download(engine, f"source{number}")[0] for number in range(101)]
    for source in sources:
        engine.dispatcher.submit(JobRequest(ClipSpec(Source(job_id=source), 0.0, 1.0)), "ann")
    behind, _ = download(engine, "behind")
    old = {job_id: number for number, job_id in enumerate([*sources, behind])}
    engine.store.connection.redis.zadd("clipmill:final", old)
    an_hour(engine).forget()
    assert not known(engine, behind)
    assert all(known(engine, source) for source in sources)
    assert engine.store.queries.final_before(engine.store.server.now(), limit=1000) == sources


def test_every_old_job_is_forgotten_and_not_only_a_page_of_them(engine: Engine) -> None:
    ids = [engine.submit(f"{URL}/{number}") for number in range(250)]
    for job_id in ids:
        engine.dispatcher.cancel(job_id, "ann")
    engine.store.connection.redis.zadd("clipmill:final", dict.fromkeys(ids, 0))
    an_hour(engine).forget()
    assert engine.store.queries.final_before(engine.store.server.now(), limit=1000) == []
    assert engine.store.counters.read()["jobs_forgotten_total{reason=ttl}"] == 250


def test_every_unused_artifact_expires_and_not_only_a_page_of_them(engine: Engine) -> None:
    found = [download(engine, f"old{number}")[1] for number in range(102)]
    for artifact_id in found:
        used_ago(engine, artifact_id, 8 * DAY)
    engine.retention.expire()
    assert engine.files() == []


def test_while_the_store_fills_up_the_jobs_that_ended_first_are_forgotten_before_their_time(
    engine: Engine,
) -> None:
    source, _ = download(engine, "source")
    engine.dispatcher.submit(JobRequest(ClipSpec(Source(job_id=source), 0.0, 1.0)), "ann")
    ended = [engine.submit(f"{URL}/{number}") for number in range(120)]
    for job_id in ended:
        engine.dispatcher.cancel(job_id, "ann")
    waiting = engine.submit(f"{URL}/waiting")
    retention = limited_to(engine, 10**9)
    retention.make_room_in_store()
    assert all(known(engine, job_id) for job_id in (source, waiting, *ended))

    used = engine.store.room.memory().used_bytes
    with store_memory(engine, int(used / 0.76)):
        retention.make_room_in_store()

    gone = [job_id for job_id in ended if not known(engine, job_id)]
    assert gone
    assert gone == ended[: len(gone)]
    assert all(known(engine, job_id) for job_id in (source, waiting))
    assert engine.store.counters.read()["jobs_forgotten_total{reason=memory}"] == len(gone)


def test_a_store_that_is_nearly_full_takes_no_job_and_says_why(engine: Engine) -> None:
    waiting = engine.submit()
    with store_memory(engine, int(engine.store.room.memory().used_bytes / 0.92)):
        with pytest.raises(StoreFull, match="CLIPMILL_STORE_MEMORY"):
            engine.submit(f"{URL}/other")
        with pytest.raises(StoreFull):
            engine.store.room.try_to_write()
        assert engine.run_all() == 1  # what was accepted still runs
    assert engine.store.jobs.get(waiting).state is JobState.SUCCEEDED
    engine.submit(f"{URL}/other")


@contextmanager
def store_memory(engine: Engine, limit_bytes: int) -> Iterator[None]:
    """A server that may hold so much; a request sees it half a second later."""
    try:
        engine.store.connection.redis.config_set("maxmemory", limit_bytes)
        time.sleep(0.6)
        yield
    finally:
        engine.store.connection.redis.config_set("maxmemory", 0)
        time.sleep(0.6)


def known(engine: Engine, job_id: str) -> bool:
    try:
        engine.store.jobs.get(job_id)
    except NotFound:
        return False
    return True


def test_what_nobody_used_for_long_goes_and_says_so(engine: Engine) -> None:
    old_job, old = download(engine, "old")
    _, young = download(engine, "young")
    used_ago(engine, old, 8 * DAY)
    used_ago(engine, young, 6 * DAY)
    engine.retention.expire()
    assert is_there(engine, young)
    with pytest.raises(ArtifactExpired):
        engine.store.artifacts.get(old)
    assert len(engine.files()) == 1
    assert engine.store.artifacts.total_bytes() == 100
    assert engine.store.jobs.get(old_job).state is JobState.SUCCEEDED
    engine.dispatcher.delete(old_job, "ann")
    assert engine.store.artifacts.total_bytes() == 100


def test_a_use_prolongs_its_time(engine: Engine) -> None:
    _, artifact = download(engine, "one")
    used_ago(engine, artifact, 8 * DAY)
    engine.store.artifacts.used(artifact)
    engine.retention.expire()
    assert is_there(engine, artifact)


def test_over_the_limit_the_longest_unused_go_first(engine: Engine) -> None:
    artifacts = [download(engine, str(number))[1] for number in range(5)]
    for number, artifact in enumerate(artifacts):
        used_ago(engine, artifact, PRODUCTION.least_kept_seconds + 100 - number)
    limited_to(engine, 300).make_room()
    assert [is_there(engine, artifact) for artifact in artifacts] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert engine.store.artifacts.total_bytes() == 300


def test_what_was_used_just_now_stays_however_little_room_there_is(engine: Engine) -> None:
    _, artifact = download(engine, "one")
    limited_to(engine, 10).make_room()
    assert is_there(engine, artifact)


def test_the_source_of_a_job_that_is_not_final_is_never_given_up(engine: Engine) -> None:
    job_id, source = download(engine, "source")
    _, other = download(engine, "other")
    clip = JobRequest(ClipSpec(Source(job_id=job_id), 0.0, 1.0))
    clip_id = engine.dispatcher.submit(clip, "ann").id
    for artifact in (source, other):
        used_ago(engine, artifact, 9 * DAY)
    engine.retention.expire()
    limited_to(engine, 10).make_room()
    assert [is_there(engine, item) for item in (source, other)] == [True, False]
    engine.dispatcher.cancel(clip_id, "ann")
    engine.retention.expire()
    assert not is_there(engine, source)


def test_work_whose_result_was_given_up_is_done_anew(engine: Engine) -> None:
    first, artifact = download(engine, "again")
    used_ago(engine, artifact, 8 * DAY)
    engine.retention.expire()
    second, fresh = download(engine, "again")
    assert second != first
    assert engine.attempts == [first, second]
    assert is_there(engine, fresh)
    assert engine.store.jobs.get(second).depends_on == ()


def test_files_that_no_record_tells_of_go_after_their_grace(engine: Engine) -> None:
    _, artifact = download(engine, "known")
    known = engine.artifacts / engine.store.artifacts.get(artifact).storage_key
    strays = []
    for name in (f"{new_id()}.mp4", f"{new_id()}.part"):
        stray = engine.artifacts / name[24:26] / name
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"x")
        os.utime(stray, (0, 0))  # the time that a site gave it does not count
        strays.append(stray)
    foreign = engine.artifacts / "README.txt"
    foreign.write_text("not ours")
    engine.retention.sweep(PRODUCTION.sweep_grace_seconds)
    assert all(stray.exists() for stray in strays)
    time.sleep(0.05)
    engine.retention.sweep(0.01)
    assert not any(stray.exists() for stray in strays)
    assert known.exists()
    assert foreign.exists()
    assert engine.store.counters.read()["stray_files_total"] == 2


def test_a_housekeeper_that_died_between_record_and_file_leaves_it_to_the_sweep(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, artifact = download(engine, "one")
    used_ago(engine, artifact, 8 * DAY)
    with monkeypatch.context() as patch:
        patch.setattr(engine.storage, "delete", lambda key: None)
        engine.retention.expire()
    assert len(engine.files()) == 1
    time.sleep(0.05)
    engine.retention.sweep(0.01)
    assert engine.files() == []


def test_the_housekeeper_sees_to_it(engine: Engine) -> None:
    _, artifact = download(engine, "one")
    used_ago(engine, artifact, 8 * DAY)
    engine.housekeeper.round()
    assert not is_there(engine, artifact)
