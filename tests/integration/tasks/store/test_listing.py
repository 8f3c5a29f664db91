"""Lists: every match once, newest first, whatever the filter; and no cursor but ours."""

from __future__ import annotations

import time

import pytest

from tasks.errors import InvalidRequest
from tasks.job import Job, JobState
from tasks.kinds import ClipSpec
from tasks.specs import Source
from tasks.store import JobQuery, Snapshot, Store
from tests.support.records import make_download, make_job, new_id

CLIP = ClipSpec(Source(url="https://media.example/v"), 0, 1)


def walk(store: Store, owner: str | None = None, limit: int = 100, **query: str) -> list[Snapshot]:
    """Every page, one after the other; only the last has no cursor."""
    items: list[Snapshot] = []
    cursor = None
    for _ in range(100):
        page = store.queries.page(JobQuery(limit=limit, cursor=cursor, **query), owner)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items
    raise AssertionError("the pages have no end")


@pytest.fixture
def thousand(store: Store) -> list[Job]:
    """A thousand jobs of all kinds, of two owners, with external ids; every tenth is cancelled."""
    jobs = []
    for number in range(1000):
        values = {"owner": "ab"[number % 2], "external_id": f"café/{number % 7}"}
        make = (make_job, make_download, lambda **v: make_job(CLIP, **v))[number % 3]
        jobs.append(make(**values))
    store.submit(jobs)
    for index in range(0, 1000, 10):
        cancelled = jobs[index].cancelled(time.time())
        store.jobs.replace(jobs[index], cancelled, 1)
        jobs[index] = cancelled
    return jobs


def test_pages_show_every_match_once_and_newest_first(store: Store, thousand: list[Job]) -> None:
    def expect(found: list[Snapshot], jobs: list[Job]) -> None:
        assert [item.id for item in found] == [job.id for job in reversed(jobs)]

    expect(walk(store), thousand)
    expect(walk(store, limit=200), thousand)
    expect(walk(store, "a"), [job for job in thousand if job.owner == "a"])
    expect(walk(store, kind="clip"), [job for job in thousand if job.kind == "clip"])
    expect(walk(store, state="cancelled", limit=7), [job for job in thousand if job.state.final])
    expect(
        walk(store, "b", external_id="café/3", state="queued"),
        [
            job
            for job in thousand
            if job.owner == "b" and job.external_id == "café/3" and not job.state.final
        ],
    )
    assert walk(store, "b", state="cancelled") == []
    assert walk(store, "nobody") == []
    assert walk(store, external_id="\U0001f600") == []


def test_one_request_does_not_read_the_whole_index(store: Store, thousand: list[Job]) -> None:
    store.connection.redis.config_resetstat()
    page = store.queries.page(JobQuery(limit=10), None)
    assert len(page.items) == 10
    assert store.connection.redis.info("commandstats")["cmdstat_hmget"]["calls"] == 11


def test_a_job_that_is_added_meanwhile_does_not_shift_the_pages(store: Store) -> None:
    jobs = [make_job() for _ in range(4)]
    for job in jobs:
        store.submit([job])
    first = store.queries.page(JobQuery(limit=2), None)
    store.submit([make_job()])
    second = store.queries.page(JobQuery(limit=2, cursor=first.next_cursor), None)
    assert [item.id for item in second.items] == [jobs[1].id, jobs[0].id]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "*", "../..", "0" * 25, "0" * 10_000, "é" * 26, "[+"])
def test_a_forged_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.queries.page(JobQuery(cursor=cursor), None)
    assert caught.value.faults[0].pointer == "/cursor"


def test_a_cursor_of_no_job_is_only_a_place_in_the_list(store: Store) -> None:
    store.submit([make_job()])
    assert store.queries.page(JobQuery(cursor="z" * 26), "ann").items
    assert not store.queries.page(JobQuery(cursor="0" * 26), "ann").items
    assert not store.queries.page(JobQuery(cursor=new_id()), "bob").items


def test_a_snapshot_says_its_state_and_owner_sees_only_his(store: Store) -> None:
    job = make_job()
    store.submit([job])
    assert store.jobs.snapshot(job.id, "ann").state is JobState.QUEUED
    assert b'"state":"queued"' in store.jobs.snapshot(job.id, None).body


def test_a_poll_is_one_read(store: Store) -> None:
    job = make_job()
    store.submit([job])
    store.connection.redis.config_resetstat()
    store.jobs.snapshot(job.id, "ann")
    done = store.connection.redis.info("commandstats")
    assert {
        name: values["calls"] for name, values in done.items() if name != "cmdstat_config|resetstat"
    } == {"cmdstat_hmget": 1}
