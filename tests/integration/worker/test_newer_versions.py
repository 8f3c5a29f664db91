"""Records that a newer version wrote: kept, run by whoever can read them, and in nobody's way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tasks.errors import Unreadable
from tasks.job import JobState
from tasks.record import readable
from tasks.store.packing import unpacked
from tests.support.engine import Engine
from tests.support.records import at_once

Rewrite = Callable[..., None]


@pytest.fixture
def rewrite(engine: Engine) -> Iterator[Rewrite]:
    """Changes a record as a newer version would; in the end all are as they were."""
    client, before = engine.store.connection.redis, {}

    def change(job_id: str, **values: Any) -> None:
        name = f"clipmill:job:{job_id}"
        text = before.setdefault(name, client.hget(name, "record"))
        client.hset(name, "record", json.dumps({**json.loads(unpacked(text)), **values}))

    yield change
    for name, text in before.items():
        if readable(unpacked(client.hget(name, "record"))) is None:
            client.hset(name, "record", text)


def test_a_field_that_a_newer_version_added_is_kept_and_written_back(
    engine: Engine, rewrite: Rewrite
) -> None:
    job_id = engine.submit()
    rewrite(job_id, from_the_future={"deep": [1, None]})

    lease = engine.store.leases.take("extract")
    assert lease is not None
    assert lease.job.id == job_id
    held = engine.store.jobs.hold(lease, lease.job.started(time.time()), 30)
    engine.store.jobs.release(held, held.job.cancelled(time.time()))

    record = engine.store.connection.redis.hget(f"clipmill:job:{job_id}", "record")
    assert json.loads(unpacked(record))["from_the_future"] == {"deep": [1, None]}
    assert engine.store.jobs.get(job_id).state is JobState.CANCELLED


@pytest.mark.parametrize(
    "values",
    [{"version": 2}, {"state": "paused"}, {"spec": {"colour": "red"}}, {"kind": "paint"}],
    ids=str,
)
def test_t12_what_cannot_be_read_is_set_aside_and_hides_no_other_job(
    engine: Engine, rewrite: Rewrite, values: dict[str, Any]
) -> None:
    strange = [engine.submit() for _ in range(3)]
    good = engine.submit()
    for job_id in strange:
        rewrite(job_id, **values)

    lease = engine.store.leases.take("extract")

    assert lease is not None
    assert lease.job.id == good
    assert engine.store.leases.take("extract") is None
    assert engine.store.counters.gauges().jobs_set_aside == 3
    for job_id in strange:
        assert engine.store.jobs.snapshot(job_id, None).state is JobState.QUEUED
        with pytest.raises(Unreadable):
            engine.store.jobs.get(job_id)


def test_t12_a_hundred_of_them_before_a_lost_job_do_not_keep_it_from_recovery(
    engine: Engine, rewrite: Rewrite
) -> None:
    ids = [engine.submit() for _ in range(101)]
    leases = [engine.store.leases.take("extract") for _ in ids]
    assert None not in leases
    client = engine.store.connection.redis
    for place, job_id in enumerate(ids):
        client.zadd("clipmill:leases", {job_id: place})
        client.hset(f"clipmill:job:{job_id}", "lease_until", place)
    for job_id in ids[:100]:
        rewrite(job_id, version=9)

    engine.housekeeper.keep_house()
    engine.housekeeper.keep_house()

    assert engine.store.aside.total() == 100
    assert client.hget(f"clipmill:job:{ids[100]}", "stage") == b"ready"


def set_aside(engine: Engine, rewrite: Rewrite) -> str:
    """A job that a worker could not read."""
    job_id = engine.submit()
    rewrite(job_id, version=9)
    assert engine.store.leases.take("extract") is None
    return job_id


def test_a_worker_that_can_read_a_job_set_aside_takes_it_once(
    engine: Engine, rewrite: Rewrite
) -> None:
    job_id = set_aside(engine, rewrite)
    assert engine.store.leases.ready_count("extract") == 1  # so that messages are sent again
    rewrite(job_id, version=1)  # as a newer worker reads it

    taken = at_once(lambda _: engine.store.leases.take("extract"), 8)

    assert [lease.job.id for lease in taken if lease is not None] == [job_id]
    assert engine.store.aside.total() == 0


def test_a_job_set_aside_can_be_cancelled_by_the_version_that_reads_it(
    engine: Engine, rewrite: Rewrite
) -> None:
    job_id = set_aside(engine, rewrite)
    rewrite(job_id, version=1)
    job, revision = engine.store.jobs.get_with_revision(job_id)
    engine.store.jobs.replace(job, job.cancelled(time.time()), revision)
    assert engine.store.aside.total() == 0
    assert engine.store.leases.take("extract") is None


def test_the_dependents_of_an_ended_job_wait_for_the_version_that_can_read_it(
    engine: Engine, rewrite: Rewrite
) -> None:
    job_id = engine.submit()
    engine.dispatcher.cancel(job_id, "ann")
    engine.store.connection.redis.sadd("clipmill:to_release", job_id)
    rewrite(job_id, version=9)
    engine.housekeeper.keep_house()
    assert engine.store.dependents.to_release() == [job_id]
    rewrite(job_id, version=1)
    engine.housekeeper.keep_house()
    assert engine.store.dependents.to_release() == []


def test_a_worker_sets_nothing_aside_that_another_holds(engine: Engine) -> None:
    job_id = engine.submit()
    lease = engine.store.leases.take("extract")
    assert lease is not None
    assert not engine.store.aside.put(job_id)
    assert not engine.store.aside.put(job_id, "another token")
    assert engine.store.aside.total() == 0
