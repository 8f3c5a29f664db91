"""Batches are recorded whole or not at all, and their counts equal a recount."""

from __future__ import annotations

import time

import pytest
import redis

from tasks.errors import NotFound, StoreUnavailable
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.result import Result
from tasks.store import NewBatch, Store
from tests.support.records import Records, every_key, make_download, make_job, new_id
from tests.support.valkey import ValkeyServer

NOW = time.time()


def add_batch(store: Store, size: int = 3, owner: str = "ann") -> tuple[str, list[Job]]:
    batch_id = new_id()
    jobs = [make_job(batch_id=batch_id, owner=owner) for _ in range(size)]
    assert store.submit(jobs, batch=NewBatch(batch_id, owner, NOW)) == ["ready"] * size
    return batch_id, jobs


def finish(store: Store, end: JobState) -> None:
    lease = store.leases.take("extract")
    assert lease is not None
    lease = store.jobs.hold(lease, lease.job.started(time.time()), 30)
    job = lease.job.progressed(1 / 3)
    ends = {
        JobState.SUCCEEDED: lambda: job.succeeded(time.time(), Result()),
        JobState.FAILED: lambda: job.failed(time.time(), Failure("x", "y")),
        JobState.CANCELLED: lambda: job.cancelled(time.time()),
    }
    store.jobs.release(lease, ends[end]())


def test_a_batch_keeps_the_order_in_which_it_was_submitted(store: Store) -> None:
    batch_id, jobs = add_batch(store, 100)
    assert store.batches.job_ids(batch_id) == [job.id for job in jobs]
    assert [item.id for item in store.batches.snapshots(batch_id)] == [job.id for job in jobs]
    assert store.batches.get(batch_id).state == "running"


S, F, C = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ((S, S, S), "succeeded"),
        ((S, F, C), "partial"),
        ((F, F, C), "failed"),
        ((C, C, C), "cancelled"),
    ],
)
def test_a_batch_ends_as_its_jobs_do(store: Store, ends: tuple[JobState, ...], state: str) -> None:
    batch_id, _ = add_batch(store)
    for end in ends[:-1]:
        finish(store, end)
        assert store.batches.get(batch_id).state == "running"
        assert store.batches.get(batch_id).finished_at is None
    finish(store, ends[-1])
    batch = store.batches.get(batch_id)
    assert (batch.state, batch.final) == (state, True)
    assert batch.finished_at == pytest.approx(store.server.now(), abs=5)


def test_a_batch_that_succeeded_is_exactly_done(store: Store) -> None:
    batch_id, _ = add_batch(store, 7)
    for _ in range(7):
        finish(store, JobState.SUCCEEDED)
    assert store.batches.get(batch_id).progress == 1.0


def test_a_batch_is_open_again_when_one_of_its_jobs_is_retried(
    store: Store, valkey: ValkeyServer
) -> None:
    batch_id, jobs = add_batch(store, 1)
    finish(store, JobState.FAILED)
    job, revision = store.jobs.get_with_revision(jobs[0].id)
    store.jobs.replace(job, job.retried(time.time()), revision)
    assert store.batches.get(batch_id).state == "running"
    assert store.batches.get(batch_id).finished_at is None
    with valkey.client() as client:
        Records(client).check(store)


def test_another_owners_batch_is_not_there(store: Store) -> None:
    batch_id, _ = add_batch(store)
    assert store.batches.get(batch_id, "ann").size == 3
    for name in (batch_id, new_id(), "../x", "*", "x" * 10_000):
        with pytest.raises(NotFound):
            store.batches.get(name, "bob")


def test_equal_downloads_in_one_batch_wait_for_the_first(store: Store) -> None:
    batch_id = new_id()
    jobs = [make_download("f" * 64, batch_id=batch_id) for _ in range(3)]
    assert store.submit(jobs, batch=NewBatch(batch_id, "ann", NOW)) == [
        "ready",
        "waiting",
        "waiting",
    ]
    for follower in jobs[1:]:
        found = store.jobs.get(follower.id)
        assert (found.depends_on, found.wait_reason) == ((jobs[0].id,), WaitReason.DEPENDENCY)
        assert (
            f'"depends_on":"{jobs[0].id}"'.encode() in store.jobs.snapshot(follower.id, None).body
        )
    assert store.dependents.of(jobs[0].id) == [job.id for job in jobs[1:]]


def test_a_store_that_fills_up_takes_no_part_of_a_batch(store: Store, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 500_000)
        taken: list[str] = []
        with pytest.raises(StoreUnavailable):
            taken.extend(add_batch(store, 10)[0] for _ in range(1000))
        before = every_key(client)
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            store.submit([make_job()])
        assert every_key(client) == before
        assert {name for name in before if name.startswith("clipmill:batch:")} == {
            f"clipmill:batch:{batch_id}" for batch_id in taken
        }
        Records(client).check(store)


def test_what_a_full_store_holds_comes_to_its_end_and_makes_room(
    store: Store, valkey: ValkeyServer
) -> None:
    _, jobs = add_batch(store, 3)
    lease = store.leases.take("extract")
    assert lease is not None
    lease = store.jobs.hold(lease, lease.job.started(time.time()), 30)
    with valkey.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(redis.OutOfMemoryError):
            client.set("x", "y")
        assert store.leases.renew([lease]) == ["held"]
        lease = store.jobs.hold(lease, lease.job.progressed(0.5), 30)
        store.jobs.release(lease, lease.job.succeeded(time.time(), Result()))
        finish(store, JobState.FAILED)
        job, revision = store.jobs.get_with_revision(jobs[2].id)
        store.jobs.replace(job, job.cancelled(time.time()), revision)
        store.jobs.delete(jobs[0].id)
        Records(client).check(store)


def test_a_batch_that_the_store_forgot_the_scripts_for_is_still_whole(
    store: Store, valkey: ValkeyServer
) -> None:
    add_batch(store)
    with valkey.client() as client:
        client.script_flush()
        batch_id, _ = add_batch(store, 20)
        assert store.batches.get(batch_id).counts["queued"] == 20
        client.script_flush()
        store.submit([make_job()])
        Records(client).check(store)
