"""Taking jobs: each once, owners in turn, the best first; and nothing by who lost the lease."""

from __future__ import annotations

import time

import pytest

from tasks.errors import CancelRequested, Conflict, LeaseLost
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.result import Result
from tasks.store import Extras, Lease, NewBatch, Store
from tests.support.records import Records, at_once, make_artifact, make_job, new_id
from tests.support.valkey import ValkeyServer


def take(store: Store, lease_seconds: float = 30) -> Lease:
    lease = store.leases.take("extract", lease_seconds)
    assert lease is not None
    return lease


def start(store: Store, lease_seconds: float = 30) -> Lease:
    lease = take(store)
    return store.jobs.hold(lease, lease.job.started(time.time()), lease_seconds)


def take_all(store: Store) -> list[Job]:
    taken = []
    while (lease := store.leases.take("extract")) is not None:
        taken.append(lease.job)
    return taken


def wait_for_expiry(store: Store, job_id: str) -> None:
    until = time.monotonic() + 5
    while job_id not in store.leases.expired():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_sixteen_takers_get_each_job_once(store: Store) -> None:
    jobs = [make_job(owner=owner) for owner in ("ann", "bob", "cid") for _ in range(50)]
    for job in jobs:
        store.submit([job])
    taken = [job.id for part in at_once(lambda _: take_all(store), 16) for job in part]
    assert sorted(taken) == sorted(job.id for job in jobs)


def test_owners_take_turns(store: Store) -> None:
    for _ in range(10):
        store.submit([make_job(owner="zoe")])
    assert [take(store).job.owner for _ in range(3)] == ["zoe"] * 3
    store.submit([make_job(owner="ann")])
    store.submit([make_job(owner="bob")])
    assert {take(store).job.owner for _ in range(3)} == {"ann", "bob", "zoe"}


def test_one_job_waits_for_no_more_than_one_of_another_owners_thousand(store: Store) -> None:
    for _ in range(1000):
        store.submit([make_job(owner="ann")])
    for _ in range(500):
        take(store)
    store.submit([make_job(owner="bob")])
    assert "bob" in [take(store).job.owner for _ in range(2)]


def test_who_comes_and_goes_does_not_hold_up_who_waits(store: Store) -> None:
    store.submit([make_job(owner="zoe")])
    store.submit([make_job(owner="zoe")])
    taken = []
    for number in range(12):
        store.submit([make_job(owner="ab"[number % 2])])
        taken.append(take(store).job.owner)
    assert taken.count("zoe") == 2


def test_within_an_owner_the_higher_priority_goes_first_and_equals_in_order(store: Store) -> None:
    now = time.time()
    jobs = [make_job(priority=priority, queued_at=now) for priority in (5, 9, 0, 5, 9)]
    for job in jobs:
        store.submit([job])
    assert [job.priority for job in take_all(store)] == [9, 9, 5, 5, 0]


def test_a_low_priority_is_not_starved(store: Store) -> None:
    now = time.time()
    store.submit([make_job(priority=0, queued_at=now - 600)])
    store.submit([make_job(priority=9, queued_at=now)])
    assert [job.priority for job in take_all(store)] == [0, 9]


def test_batches_of_one_owner_take_turns_with_each_other_and_with_his_single_jobs(
    store: Store,
) -> None:
    large, small = new_id(), new_id()
    store.submit([make_job(batch_id=large) for _ in range(100)], batch=NewBatch(large, "ann", 0.0))
    for _ in range(50):
        take(store)
    store.submit([make_job(batch_id=small) for _ in range(5)], batch=NewBatch(small, "ann", 0.0))
    single = make_job()
    store.submit([single])
    taken = [take(store).job for _ in range(15)]
    assert [job.batch_id for job in taken].count(small) == 5
    assert single.id in {job.id for job in taken[:3]}


def test_a_flood_of_high_priority_does_not_stop_a_batch_of_low(store: Store) -> None:
    low, high = new_id(), new_id()
    store.submit(
        [make_job(batch_id=low, priority=0) for _ in range(5)], batch=NewBatch(low, "ann", 0.0)
    )
    jobs = [make_job(batch_id=high, priority=9) for _ in range(100)]
    store.submit(jobs, batch=NewBatch(high, "ann", 0.0))
    taken = [take(store).job.batch_id for _ in range(30)]
    assert taken[:9] == [high] * 9
    assert taken.count(low) == 5


OLDEST_EACH = 4  # of so many turns of an owner one goes to who has waited longest


def add_flood(store: Store, size: int, owner: str = "ann", queued_at: float | None = None) -> None:
    """A batch of so many urgent jobs, or one that is of no batch."""
    made = {"priority": 9, "owner": owner, "queued_at": queued_at or time.time()}
    if not size:
        store.submit([make_job(**made)])
        return
    batch_id = new_id()
    jobs = [make_job(batch_id=batch_id, **made) for _ in range(size)]
    store.submit(jobs, batch=NewBatch(batch_id, owner, 0.0))


@pytest.mark.parametrize("size", [0, 1, 9])
@pytest.mark.parametrize("owners", [["ann"], ["ann", "bob", "cid"]])
def test_who_has_waited_longest_gets_every_fourth_turn_of_his_owner(
    store: Store, size: int, owners: list[str]
) -> None:
    """However many urgent jobs come before each turn: alone, or in small batches."""
    ten_hours_ago, batch_id = time.time() - 36_000, new_id()
    old = [make_job(priority=0, queued_at=ten_hours_ago)]
    store.submit([old[0]])
    old += [make_job(priority=5, queued_at=ten_hours_ago, batch_id=batch_id) for _ in range(5)]
    store.submit(old[1:], batch=NewBatch(batch_id, "ann", 0.0))
    for _ in range(20):
        add_flood(store, size)
    taken: list[str] = []
    for _ in range(OLDEST_EACH * len(old) * len(owners)):
        for owner in owners:
            add_flood(store, size, owner)
        taken.append(take(store).job.id)
    assert {job.id for job in old} <= set(taken)


def test_a_step_of_priority_is_a_head_start_of_a_minute_also_over_batches(store: Store) -> None:
    """An urgent job comes every ten seconds, and one is taken: after nine minutes it is enough."""
    now = time.time()
    patient = make_job(priority=0, queued_at=now)
    store.submit([patient])
    for turn in range(1, 100):
        add_flood(store, 1, queued_at=now + 10 * turn)
        if take(store).job.id == patient.id:
            break
    assert 9 * 60 <= 10 * turn <= 9 * 60 + 10 * OLDEST_EACH


def test_batches_without_end_do_not_stop_one_of_the_same_priority(store: Store) -> None:
    batch_id, jobs = new_id(), 20
    store.submit(
        [make_job(batch_id=batch_id) for _ in range(jobs)], batch=NewBatch(batch_id, "ann", 0.0)
    )
    taken = []
    for _ in range(OLDEST_EACH * jobs):
        other = new_id()
        store.submit(
            [make_job(batch_id=other) for _ in range(2)], batch=NewBatch(other, "ann", 0.0)
        )
        taken.append(take(store).job.batch_id)
    assert taken.count(batch_id) == jobs


def test_a_cancelled_job_leaves_nothing_in_the_lists_of_turns(store: Store) -> None:
    batch_id = new_id()
    jobs = [make_job(batch_id=batch_id) for _ in range(2)]
    store.submit(jobs, batch=NewBatch(batch_id, "ann", 0.0))
    for job in jobs:
        store.jobs.replace(job, job.cancelled(time.time()), 1)
    assert (
        store.connection.redis.exists("clipmill:turns:extract:ann", "clipmill:oldest:extract:ann")
        == 0
    )
    assert store.leases.take("extract") is None


def test_what_is_ready_is_counted_over_owners_and_batches(store: Store) -> None:
    for owner in ("ann", "bob"):
        batch_id = new_id()
        jobs = [make_job(batch_id=batch_id, owner=owner) for _ in range(10)]
        store.submit(jobs, batch=NewBatch(batch_id, owner, 0.0))
        store.submit([make_job(owner=owner)])
    take(store)
    assert store.leases.ready_count("extract") == 21


def test_a_timeline_tells_what_happened_in_order(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store)
    lease = store.jobs.hold(lease, lease.job.entered("extracting"), 30)
    lease = store.jobs.hold(lease, lease.job.progressed(0.5), 30)
    later = lease.job.requeued(time.time(), not_before=store.server.now() - 1)
    store.jobs.release(lease, later, Extras(why="network_error"))
    job, revision = store.jobs.get_with_revision(later.id)
    store.jobs.replace(job, job.due(), revision)
    lease = start(store)
    failed = lease.job.failed(time.time(), Failure("unavailable", "gone"))
    store.jobs.release(lease, failed)
    told = store.jobs.timeline(failed.id)
    assert [line.pop("at") for line in told] == sorted(
        line["at"] for line in store.jobs.timeline(job.id)
    )
    assert told == [
        {"event": "queued"},
        {"event": "running", "attempt": 1},
        {"event": "phase", "phase": "extracting", "attempt": 1},
        {"event": "queued", "attempt": 1, "wait_reason": "retry", "why": "network_error"},
        {"event": "ready", "attempt": 1},
        {"event": "running", "attempt": 2},
        {"event": "failed", "attempt": 2, "code": "unavailable"},
    ]
    store.jobs.delete(failed.id)
    assert store.connection.redis.exists(f"clipmill:timeline:{failed.id}") == 0


def test_a_timeline_does_not_grow_without_end(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store)
    for number in range(300):
        lease = store.jobs.hold(lease, lease.job.entered(f"phase{number}"), 30)
    told = store.jobs.timeline(lease.job.id)
    assert (len(told), told[-1]["phase"]) == (200, "phase299")


def test_a_job_of_another_kind_is_not_taken(store: Store) -> None:
    store.submit([make_job()])
    assert store.leases.take("clip") is None


def test_whoever_lost_the_lease_writes_nothing(store: Store, valkey: ValkeyServer) -> None:
    store.submit([make_job()])
    stale = start(store, lease_seconds=0.01)
    job_id = stale.job.id
    wait_for_expiry(store, job_id)
    job, revision = store.jobs.get_with_revision(job_id)
    store.jobs.replace(job, job.requeued(time.time()), revision, lease_expired=True)
    fresh = start(store)
    with valkey.client() as client:
        before = client.hgetall(f"clipmill:job:{job_id}"), client.keys("*")
        artifact = make_artifact(stale.job)
        extras = Extras({"bytes": 1}, [(artifact, True)], "key")
        with pytest.raises(LeaseLost):
            store.jobs.hold(stale, stale.job.progressed(0.5), 30)
        with pytest.raises(LeaseLost):
            store.jobs.release(stale, stale.job.succeeded(time.time(), Result()), extras)
        with pytest.raises(LeaseLost):
            store.jobs.release(stale, stale.job.cancelled(time.time()))
        assert (client.hgetall(f"clipmill:job:{job_id}"), client.keys("*")) == before
    assert store.leases.renew([stale, fresh]) == ["lost", "held"]
    assert fresh.job.attempt == 2


def test_a_lease_that_has_not_expired_is_not_recovered(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store)
    assert store.leases.expired() == []
    job, revision = store.jobs.get_with_revision(lease.job.id)
    with pytest.raises(Conflict):
        store.jobs.replace(job, job.requeued(time.time()), revision, lease_expired=True)


def test_a_renewed_lease_does_not_expire(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store, lease_seconds=0.05)
    assert store.leases.renew([lease]) == ["held"]
    time.sleep(0.1)
    assert store.leases.expired() == []


def test_the_stores_clock_decides_not_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.submit([make_job()])
    monkeypatch.setattr(time, "time", lambda: 0.0)
    start(store, lease_seconds=60)
    assert store.leases.expired() == []
    assert store.server.now() > 1_700_000_000


def test_a_job_that_was_taken_but_never_claimed_is_found(store: Store) -> None:
    store.submit([make_job()])
    lease = take(store, lease_seconds=0.01)
    wait_for_expiry(store, lease.job.id)
    job, revision = store.jobs.get_with_revision(lease.job.id)
    assert job.state is JobState.QUEUED
    store.jobs.replace(job, job.waiting_for(None), revision, lease_expired=True)
    assert take(store).job.id == lease.job.id


def test_the_next_renewal_tells_of_a_cancel(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store)
    assert store.jobs.request_cancel(lease.job.id)
    assert store.leases.renew([lease]) == ["cancel"]
    for refused in (
        lambda: store.jobs.hold(lease, lease.job.progressed(0.5), 30),
        lambda: store.jobs.release(lease, lease.job.succeeded(time.time(), Result())),
        lambda: store.jobs.release(lease, lease.job.requeued(time.time())),
    ):
        with pytest.raises(CancelRequested):
            refused()
    store.jobs.release(lease, lease.job.cancelled(time.time()))
    assert not store.jobs.cancel_requested(lease.job.id)


def test_a_cancel_is_not_lost_with_the_worker(store: Store) -> None:
    store.submit([make_job()])
    lease = start(store, lease_seconds=0.01)
    wait_for_expiry(store, lease.job.id)
    job, revision = store.jobs.get_with_revision(lease.job.id)
    assert store.jobs.request_cancel(job.id)
    with pytest.raises(CancelRequested):
        store.jobs.replace(job, job.requeued(time.time()), revision, lease_expired=True)
    store.jobs.replace(job, job.cancelled(time.time()), revision, lease_expired=True)
    assert store.jobs.get(job.id).state is JobState.CANCELLED


def test_only_a_running_job_can_be_asked_to_stop(store: Store) -> None:
    job = make_job()
    store.submit([job])
    assert not store.jobs.request_cancel(job.id)
    assert not store.jobs.cancel_requested(job.id)


def test_a_delayed_job_is_not_ready_before_its_time(store: Store, valkey: ValkeyServer) -> None:
    store.submit([make_job()])
    lease = start(store)
    later = lease.job.requeued(time.time(), not_before=store.server.now() + 0.3)
    assert store.jobs.release(lease, later) == ["delayed"]
    assert store.jobs.get(later.id).wait_reason is WaitReason.RETRY
    assert store.leases.take("extract") is None
    assert store.leases.due_retries() == []
    time.sleep(0.35)
    assert store.leases.due_retries() == [later.id]
    job, revision = store.jobs.get_with_revision(later.id)
    assert store.jobs.replace(job, job.due(), revision) == ["ready"]
    assert start(store).job.attempt == 2
    with valkey.client() as client:
        Records(client).check(store)


def test_of_ten_thousand_delayed_jobs_the_first_due_come_first(store: Store) -> None:
    store.connection.redis.zadd("clipmill:delayed", {f"job{n:05}": n for n in range(10_000)})
    assert store.leases.due_retries(limit=3) == ["job00000", "job00001", "job00002"]


def test_a_lock_has_one_holder_and_expires(store: Store) -> None:
    assert sum(at_once(lambda number: store.server.lock("x", f"holder{number}", 30), 16)) == 1
    assert store.server.lock("y", "ann", 0.05)
    assert store.server.lock("y", "ann", 0.05)
    assert not store.server.lock("y", "bob", 30)
    time.sleep(0.1)
    assert store.server.lock("y", "bob", 30)


def test_an_owner_at_its_limit_lets_the_others_pass(store: Store) -> None:
    store.leases.limit_running({"ann": 2})
    for owner in ("ann", "ann", "ann", "bob"):
        store.submit([make_job(owner=owner)])
    assert store.leases.ready_count("extract") == 3
    taken = [take(store) for _ in range(3)]
    assert sorted(lease.job.owner for lease in taken) == ["ann", "ann", "bob"]
    assert store.leases.take("extract") is None
    assert store.leases.ready_count("extract") == 0  # none that a worker could take
    assert store.leases.kinds_that_waited("ann") == ["extract"]
    assert store.leases.kinds_that_waited("bob") == []
    mine = next(lease for lease in taken if lease.job.owner == "ann")
    running = store.jobs.hold(mine, mine.job.started(time.time()), 30)
    assert store.leases.take("extract") is None
    store.jobs.release(running, running.job.succeeded(time.time(), Result()))
    assert take(store).job.owner == "ann"
    store.leases.limit_running({})
    store.submit([make_job(owner="ann")])
    assert take(store).job.owner == "ann"
