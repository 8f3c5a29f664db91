"""The store's clock runs ahead, by a step or a sleep of the machine: nobody is lost by that."""

from __future__ import annotations

import time

import pytest

from config.timings import Timings
from tasks.job import JobState
from tasks.store import Lease
from tests.support.engine import Engine
from tests.support.processes import eventually

HOUR = 3600.0
SETTLING_SECONDS = 0.5


@pytest.fixture
def timings() -> Timings:
    return Timings(settling_seconds=SETTLING_SECONDS)


def started(engine: Engine) -> Lease:
    """A job in the hands of a worker."""
    engine.submit()
    lease = engine.store.leases.take("extract")
    assert lease is not None
    return engine.store.jobs.hold(lease, lease.job.started(time.time()), 30)


def jump(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every part of the system sees it when the store's clock is set an hour ahead."""
    for job_id in engine.store.connection.redis.zrange("clipmill:leases", 0, -1):
        engine.store.connection.redis.zincrby("clipmill:leases", -HOUR, job_id)
        engine.store.connection.redis.hincrbyfloat(
            f"clipmill:job:{job_id.decode()}", "lease_until", -HOUR
        )
    kept = engine.store.connection.redis.hget("clipmill:totals", "housekeeper_round_at")
    if kept is not None:
        engine.store.connection.redis.hincrbyfloat("clipmill:totals", "housekeeper_round_at", -HOUR)
    clock = time.time
    monkeypatch.setattr(engine.store.server, "now", lambda: clock() + HOUR)


def state_of(engine: Engine, lease: Lease) -> JobState:
    return engine.store.jobs.get(lease.job.id).state


def queued_again(engine: Engine, lease: Lease) -> bool:
    engine.housekeeper.round()
    return state_of(engine, lease) is JobState.QUEUED


def test_whoever_renews_after_a_jump_keeps_the_job(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.housekeeper.round()
    lease = started(engine)
    jump(engine, monkeypatch)
    engine.housekeeper.round()
    assert state_of(engine, lease) is JobState.RUNNING
    assert engine.store.leases.renew([lease], 2 * HOUR) == ["held"]
    end = time.monotonic() + 2 * SETTLING_SECONDS
    while time.monotonic() < end:
        assert not queued_again(engine, lease)
    assert engine.store.jobs.get(lease.job.id).attempt == 1


def test_whoever_does_not_renew_after_a_jump_is_lost_soon(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.housekeeper.round()
    lease = started(engine)
    jump(engine, monkeypatch)
    assert not queued_again(engine, lease)
    assert eventually(lambda: queued_again(engine, lease), 10)


def test_a_new_housekeeper_sees_the_jump_that_it_was_not_there_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.store.counters.note_housekeeping()
    lease = started(engine)
    jump(engine, monkeypatch)
    assert not queued_again(engine, lease)
    assert eventually(lambda: queued_again(engine, lease), 10)


def test_a_new_housekeeper_after_one_that_died_helps_at_once(engine: Engine) -> None:
    engine.store.counters.note_housekeeping()
    engine.store.connection.redis.hincrbyfloat("clipmill:totals", "housekeeper_round_at", -10)
    lease = started(engine)
    engine.store.connection.redis.zadd("clipmill:leases", {lease.job.id: 0})
    engine.store.connection.redis.hset(f"clipmill:job:{lease.job.id}", "lease_until", 0)
    assert queued_again(engine, lease)


def test_a_housekeeper_that_is_slow_helps_all_the_same(engine: Engine) -> None:
    """Both clocks go on while it works: that is no jump."""
    engine.housekeeper.round()
    lease = started(engine)
    engine.store.connection.redis.zadd("clipmill:leases", {lease.job.id: 0})
    engine.store.connection.redis.hset(f"clipmill:job:{lease.job.id}", "lease_until", 0)
    time.sleep(2 * SETTLING_SECONDS)
    assert queued_again(engine, lease)
