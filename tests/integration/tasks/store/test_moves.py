"""Every legal move and no other; whatever many threads do, the records stay sound."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from tasks.errors import CancelRequested, Conflict, LeaseLost
from tasks.job import TRANSITIONS, Failure, IllegalMove, Job, JobState
from tasks.result import Result
from tasks.store import Lease, NewBatch, Store
from tests.support.records import Records, at_once, make_job, new_id
from tests.support.valkey import ValkeyServer

NOW = 1_700_000_000.0
FAILURE = Failure("tool_failed", "no")


def in_state(state: JobState) -> Job:
    queued = make_job()
    running = queued.started(NOW)
    return {
        JobState.QUEUED: queued,
        JobState.RUNNING: running,
        JobState.SUCCEEDED: running.succeeded(NOW, Result()),
        JobState.FAILED: running.failed(NOW, FAILURE),
        JobState.CANCELLED: queued.cancelled(NOW),
    }[state]


MOVES = {
    JobState.RUNNING: lambda job: job.started(NOW),
    JobState.SUCCEEDED: lambda job: job.succeeded(NOW, Result()),
    JobState.FAILED: lambda job: job.failed(NOW, FAILURE),
    JobState.CANCELLED: lambda job: job.cancelled(NOW),
    JobState.QUEUED: lambda job: (job.retried if job.state.final else job.requeued)(NOW),
}


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize("target", JobState)
def test_the_table_alone_says_which_moves_there_are(source: JobState, target: JobState) -> None:
    job = in_state(source)
    if target in TRANSITIONS[source]:
        assert MOVES[target](job).state is target
    else:
        with pytest.raises(IllegalMove):
            MOVES[target](job)


def test_of_sixteen_writers_with_one_revision_one_writes(store: Store) -> None:
    job = make_job()
    store.submit([job])

    def write(number: int) -> bool:
        other = replace(job, external_id=str(number))
        try:
            store.jobs.replace(job, other, 1)
        except Conflict:
            return False
        return True

    assert sum(at_once(write, 16)) == 1
    assert store.jobs.get_with_revision(job.id)[1] == 2


def test_a_record_keeps_every_value_to_the_last_digit(store: Store) -> None:
    job = make_job(created_at=1763712000.1234567, metadata={"ü": "\U0001f600 \ud800"})
    store.submit([job])
    assert store.jobs.get(job.id) == job


def test_times_in_the_store_keep_their_microseconds(store: Store) -> None:
    queued_at = 1763712000.123457
    store.submit([make_job(queued_at=queued_at, priority=0)])
    assert (
        store.connection.redis.zrange("clipmill:ready:extract:ann:-", 0, 0, withscores=True)[0][1]
        == queued_at
    )
    before = store.server.now()
    lease = store.leases.take("extract", 10)
    assert lease is not None
    until = float(store.connection.redis.hget(f"clipmill:job:{lease.job.id}", "lease_until"))
    assert before + 10 <= until <= store.server.now() + 10
    assert store.connection.redis.zscore("clipmill:leases", lease.job.id) == until


class Player:
    """One thread that takes any move it can think of."""

    def __init__(self, store: Store, seed: int, batch_id: str) -> None:
        self.store, self.random, self.batch_id = store, random.Random(seed), batch_id
        self.leases: list[Lease] = []
        self.done = 0

    def play(self, moves: int) -> None:
        for _ in range(moves):
            move = self.random.choice(
                [self.add, self.take, self.go_on, self.go_on, self.go_on, self.cancel, self.retry,
                 self.recover, self.promote]
            )  # fmt: skip
            try:
                self.done += move() is not False
            except (Conflict, CancelRequested, IllegalMove):
                continue

    def add(self) -> None:
        self.store.submit([make_job(owner=self.random.choice(["ann", "bob"]))])

    def take(self) -> bool:
        lease = self.store.leases.take("extract", self.random.choice([0.001, 30]))
        if lease is not None:
            self.leases.append(lease)
        return lease is not None

    def go_on(self) -> None:
        """The next step of a job in our hands, which may long be in other hands."""
        if not self.leases:
            return
        lease = self.leases.pop(self.random.randrange(len(self.leases)))
        job, now = lease.job, time.time()
        try:
            if job.state is JobState.QUEUED:
                if job.attempt < job.max_attempts:
                    self.leases.append(self.store.jobs.hold(lease, job.started(now), 30))
                return
            ends = [
                lambda: job.succeeded(now, Result()),
                lambda: job.failed(now, FAILURE),
                lambda: job.requeued(now),
                lambda: job.requeued(now, not_before=now),
                lambda: job.requeued(now, give_attempt_back=True),
                lambda: job.progressed(self.random.random()),
            ]
            after = self.random.choice(ends)()
            if after.state is JobState.RUNNING:
                self.leases.append(self.store.jobs.hold(lease, after, 30))
            else:
                self.store.jobs.release(lease, after)
        except CancelRequested:
            self.store.jobs.release(lease, job.cancelled(now))

    def any_job(self) -> tuple[Job, int]:
        ids = self.store.connection.redis.zrange("clipmill:index:all", 0, -1)
        return self.store.jobs.get_with_revision(self.random.choice(ids).decode())

    def cancel(self) -> bool:
        job, revision = self.any_job()
        if job.state is JobState.RUNNING:
            return self.store.jobs.request_cancel(job.id)
        self.store.jobs.replace(job, job.cancelled(time.time()), revision)
        return True

    def retry(self) -> None:
        job, revision = self.any_job()
        self.store.jobs.replace(job, job.retried(time.time()), revision)

    def recover(self) -> None:
        for job_id in self.store.leases.expired():
            job, revision = self.store.jobs.get_with_revision(job_id)
            running = job.state is JobState.RUNNING
            after = job.requeued(time.time()) if running else job.waiting_for(None)
            self.store.jobs.replace(job, after, revision, lease_expired=True)

    def promote(self) -> None:
        for job_id in self.store.leases.due_retries():
            job, revision = self.store.jobs.get_with_revision(job_id)
            self.store.jobs.replace(job, job.due(), revision)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_sequence_of_moves_by_many_reaches_an_unsound_state(
    store: Store, valkey: ValkeyServer, seed: int
) -> None:
    batch_id = new_id()
    store.submit(
        [make_job(batch_id=batch_id) for _ in range(20)], batch=NewBatch(batch_id, "ann", NOW)
    )
    players = [Player(store, 100 * seed + number, batch_id) for number in range(6)]
    at_once(lambda number: players[number].play(150), len(players))
    assert sum(player.done for player in players) > 300
    with valkey.client() as client:
        records = Records(client)
    reached = {job.state for job in records.jobs.values()}
    assert {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} <= reached
    records.check(store)


def test_counters_equal_the_final_records(store: Store) -> None:
    for end in ("succeeded", "succeeded", "failed", "cancelled"):
        store.submit([make_job()])
        lease = store.leases.take("extract")
        assert lease is not None
        if end == "cancelled":
            store.jobs.release(lease, lease.job.cancelled(time.time()))
            continue
        lease = store.jobs.hold(lease, lease.job.started(time.time()), 30)
        after = (
            lease.job.succeeded(time.time(), Result()) if end == "succeeded"
            else lease.job.failed(time.time(), FAILURE)
        )  # fmt: skip
        store.jobs.release(lease, after)
    counted = store.counters.read()
    assert counted["jobs_total{kind=extract,state=succeeded}"] == 2
    assert counted["jobs_total{kind=extract,state=failed}"] == 1
    assert counted["jobs_total{kind=extract,state=cancelled}"] == 1
    assert counted["job_failures_total{code=tool_failed,kind=extract}"] == 1
    assert counted["job_queue_seconds_count{kind=extract}"] == 3
    assert counted["job_run_seconds_count{kind=extract}"] == 3


def test_a_write_that_is_sent_again_after_a_lost_answer_changes_nothing(store: Store) -> None:
    """The client library repeats a command when the connection broke under it."""
    once = store.connection._scripts["change"]
    twice = lambda **arguments: (once(**arguments), once(**arguments))[1]  # noqa: E731
    store.submit([make_job()])
    lease = store.leases.take("extract")
    assert lease is not None
    store.connection._scripts["change"] = twice  # type: ignore[assignment]
    lease = store.jobs.hold(lease, lease.job.started(time.time()), 30)
    store.jobs.release(lease, lease.job.succeeded(time.time(), Result()))
    assert store.jobs.get_with_revision(lease.job.id)[1] == 3
    assert store.counters.read()["jobs_total{kind=extract,state=succeeded}"] == 1


def test_a_stale_revision_never_brings_a_cancelled_job_back(store: Store) -> None:
    job = make_job()
    store.submit([job])
    store.jobs.replace(job, job.cancelled(NOW), 1)
    with pytest.raises(Conflict):
        store.jobs.replace(job, job.waiting_for(None), 1)
    assert store.jobs.get(job.id).state is JobState.CANCELLED


def test_nothing_is_written_for_a_job_that_is_not_there(store: Store, valkey: ValkeyServer) -> None:
    job = make_job()
    with pytest.raises(Conflict):
        store.jobs.replace(job, job.cancelled(NOW), 1)
    with pytest.raises(LeaseLost):
        store.jobs.hold(Lease(job, "token"), job.started(NOW), 30)
    with valkey.client() as client:
        assert client.dbsize() == 0
