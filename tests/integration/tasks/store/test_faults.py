"""A store that is gone is said to be gone, soon; and when it is back, all goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tasks.errors import StoreUnavailable
from tasks.job import JobState
from tasks.store import Changes, JobQuery, NewBatch, Store
from tests.support.records import at_once, make_job, new_id
from tests.support.valkey import ValkeyServer


@pytest.fixture
def changes(own_valkey: ValkeyServer) -> Iterator[Changes]:
    """Word of changes from a server that the test may stop."""
    changes = Changes(own_valkey.url)
    changes.start()
    yield changes
    changes.stop()


def refused_within(seconds: float, store: Store) -> None:
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.server.ping()
    assert time.monotonic() - begin < seconds


def test_a_store_that_is_gone_is_told_at_once_and_found_again(own_valkey: ValkeyServer) -> None:
    store = Store.at(own_valkey.url)
    job = make_job()
    store.submit([job])
    lease = store.leases.take("extract")
    assert lease is not None
    time.sleep(1.1)  # the log reaches the disk each second
    own_valkey.kill()
    refused_within(2, store)
    for call in (
        lambda: store.jobs.snapshot(job.id, None),
        lambda: store.submit([make_job()]),
        lambda: store.submit([make_job()], batch=NewBatch(new_id(), "ann", 0.0)),
        lambda: store.leases.take("extract"),
        lambda: store.leases.renew([lease]),
        lambda: store.queries.page(JobQuery(), None),
        lambda: store.leases.expired(),
        lambda: store.jobs.delete(job.id),
        lambda: store.workers.present(),
        lambda: store.counters.gauges(),
        lambda: store.server.lock("x", "y", 1),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    own_valkey.start()
    assert store.leases.renew([lease]) == ["held"]
    lease = store.jobs.hold(lease, lease.job.started(time.time()), 30)
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_a_store_that_hangs_is_given_up_in_three_seconds(own_valkey: ValkeyServer) -> None:
    store = Store.at(own_valkey.url)
    store.server.ping()
    os.kill(own_valkey.pid, signal.SIGSTOP)
    refused_within(3, store)
    refused_within(3, Store.at(own_valkey.url))
    os.kill(own_valkey.pid, signal.SIGCONT)
    store.server.ping()


def test_resets_of_the_connection_are_not_noticed(own_valkey: ValkeyServer) -> None:
    store = Store.at(own_valkey.url)
    stop = threading.Event()

    def reset(_: int) -> None:
        with own_valkey.client() as client:
            for _ in range(20):
                client.client_kill_filter(_type="normal", skipme=True)
                time.sleep(0.02)
        stop.set()

    def work(_: int) -> list[str]:
        made = []
        while not stop.is_set():
            job = make_job()
            try:
                store.submit([job])
            except StoreUnavailable:
                continue  # hit twice in a row
            made.append(job.id)
        return made

    _, *parts = at_once(lambda number: (reset if number == 0 else work)(number), 5)
    made = {job_id for part in parts for job_id in part or ()}
    assert len(made) > 20
    assert made <= {
        item.decode() for item in store.connection.redis.zrange("clipmill:index:all", 0, -1)
    }


def test_every_change_wakes_those_who_watch_it(own_valkey: ValkeyServer, changes: Changes) -> None:
    store = Store.at(own_valkey.url)
    job, other = make_job(), make_job()
    with changes.watch(job.id) as mine, changes.watch("*") as all_, changes.watch("x") as none:
        while none.wait(0.5):  # the subscription itself wakes everyone
            pass
        mine.wait(0)
        all_.wait(0)
        store.submit([other])
        assert all_.wait(5)
        assert not mine.wait(0.05)
        store.submit([job])
        assert mine.wait(5)
        assert all_.changed() >= {job.id, other.id}
        assert not none.wait(0)


def test_no_wake_up_is_lost_between_reading_and_waiting(
    own_valkey: ValkeyServer, changes: Changes
) -> None:
    """Each waiter reads, then waits for as long as it takes: one lost change and it hangs."""
    store = Store.at(own_valkey.url)
    job = make_job()
    store.submit([job])
    last = 200

    def follow(_: int) -> int:
        with changes.watch(job.id) as watcher:
            while (revision := store.jobs.snapshot(job.id, None).revision) < last:
                assert watcher.wait(20)
        return revision

    def change(_: int) -> int:
        for _ in range(last - 1):
            current, revision = store.jobs.get_with_revision(job.id)
            store.jobs.replace(current, current, revision)
        return last

    assert at_once(lambda number: (change if number == 0 else follow)(number), 9) == [last] * 9


class LateEvent(threading.Event):
    """Something happens in the very moment after the time was up."""

    def wait(self, timeout: float | None = None) -> bool:
        found = super().wait(timeout)
        self.set()
        return found


def test_a_change_in_the_moment_of_a_time_out_is_not_lost(changes: Changes) -> None:
    with changes.watch("x") as watcher:
        watcher._event = LateEvent()
        assert not watcher.wait(0)
        assert watcher.wait(0)


def test_after_a_restart_everyone_looks_again_and_hears_again(
    own_valkey: ValkeyServer, changes: Changes
) -> None:
    store = Store.at(own_valkey.url)
    with changes.watch("x") as watcher, changes.watch("*") as everything:
        while watcher.wait(0.3):
            pass
        own_valkey.kill()
        time.sleep(0.2)
        own_valkey.start()
        assert watcher.wait(10)
        while everything.wait(0.3):
            pass
        everything.changed()
        job = make_job()
        store.submit([job])
        assert everything.wait(5)
        assert job.id in everything.changed()


def test_a_lost_subscription_is_told_although_it_renews_itself(
    own_valkey: ValkeyServer, changes: Changes
) -> None:
    with changes.watch("x") as watcher, own_valkey.client() as client:
        while watcher.wait(0.3):
            pass
        assert client.client_kill_filter(_type="pubsub") == 1
        assert watcher.wait(10)


def test_stopping_wakes_everyone_and_ends_the_thread(own_valkey: ValkeyServer) -> None:
    changes = Changes(own_valkey.url)
    changes.start()
    with changes.watch("x") as watcher:
        while watcher.wait(0.3):
            pass
        changes.stop()
        assert watcher.wait(0)
    assert "changes" not in {thread.name for thread in threading.enumerate()}
