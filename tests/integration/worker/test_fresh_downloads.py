"""A download answers others of its URL for a while, then the URL is asked again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.dispatch import JobRequest
from tasks.kinds import ClipSpec, DownloadResult
from tasks.specs import Source
from tasks.store.packing import unpacked
from tests.support.engine import URL, Engine
from tests.support.records import source_id
from tests.support.valkey import ValkeyServer

HOUR = 3600.0


@pytest.fixture
def impatient(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Engine]:
    """An engine that answers with no download that has ended before it was asked."""
    with Engine(valkey.url, tmp_path, reuse_downloads_for="0s") as engine:
        yield engine


def downloaded(engine: Engine) -> str:
    job_id = engine.submit_download()
    engine.run_all("download")
    return job_id


def deduplicated(engine: Engine, job_id: str) -> bool:
    result = engine.store.jobs.get(job_id).result
    assert isinstance(result, DownloadResult)
    return result.deduplicated


def let_pass(engine: Engine, job_id: str, seconds: float) -> None:
    """The job has ended so much earlier; its file was used just now."""
    name = f"clipmill:job:{job_id}"
    record = json.loads(unpacked(engine.store.connection.redis.hget(name, "record")))
    record["finished_at"] -= seconds
    engine.store.connection.redis.hset(name, "record", json.dumps(record))


def clip(start: float = 0.0) -> JobRequest:
    return JobRequest(ClipSpec(Source(url=URL), start, start + 1))


def source_of_clip(engine: Engine) -> str | None:
    return source_id(engine.store.jobs.get(engine.dispatcher.submit(clip(), "ann").id))


def test_within_a_day_a_download_answers_others_and_after_it_none(engine: Engine) -> None:
    first = downloaded(engine)
    let_pass(engine, first, 23 * HOUR)
    assert deduplicated(engine, downloaded(engine))
    let_pass(engine, first, 2 * HOUR)
    fresh = downloaded(engine)
    assert not deduplicated(engine, fresh)
    assert deduplicated(engine, downloaded(engine))
    assert engine.attempts == [first, fresh]


def test_within_a_day_a_clip_takes_the_download_that_is_there_and_after_it_another(
    engine: Engine,
) -> None:
    first = downloaded(engine)
    assert source_of_clip(engine) == first
    let_pass(engine, first, 25 * HOUR)
    second = source_of_clip(engine)
    assert second not in {None, first}
    assert source_of_clip(engine) == second
    engine.run_all("download")
    assert engine.attempts == [first, second]


def test_a_clip_takes_the_download_that_was_asked_for_since(engine: Engine) -> None:
    let_pass(engine, downloaded(engine), 25 * HOUR)
    fresh = downloaded(engine)
    assert source_of_clip(engine) == fresh


def test_those_who_ask_together_after_the_time_share_one_download(engine: Engine) -> None:
    first = downloaded(engine)
    let_pass(engine, first, 25 * HOUR)
    jobs = [engine.submit_download() for _ in range(3)]
    engine.run_all("download")
    engine.run_all("download")
    assert engine.attempts == [first, jobs[0]]
    assert [deduplicated(engine, job_id) for job_id in jobs] == [False, True, True]


def test_the_clips_of_a_batch_share_one_download_however_short_the_time(impatient: Engine) -> None:
    downloaded(impatient)
    requests = [clip(start) for start in range(4)]
    batch = impatient.dispatcher.submit_batch(requests, "ann")
    jobs = [impatient.store.jobs.get(job_id) for job_id in impatient.store.batches.job_ids(batch)]
    assert len({job.depends_on for job in jobs}) == 1
    impatient.run_all("download")
    assert len(impatient.attempts) == 2


def test_who_waited_for_a_download_is_answered_however_short_the_time(impatient: Engine) -> None:
    jobs = [impatient.submit_download() for _ in range(3)]
    impatient.run_all("download")
    assert impatient.attempts == jobs[:1]
    downloaded(impatient)
    assert len(impatient.attempts) == 2
