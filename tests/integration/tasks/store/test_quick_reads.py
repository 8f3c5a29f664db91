"""Reading jobs in an event loop: the same as in a thread, and no waiting for a silent store."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import aclosing

import pytest

from tasks.errors import NotFound, StoreUnavailable
from tasks.store import Snapshot, Store
from tasks.store.quick_reads import QuickReads
from tests.support.records import make_job
from tests.support.valkey import ValkeyServer


def in_a_thread(store: Store, job_id: str, owner: str | None) -> Snapshot | None:
    try:
        return store.jobs.snapshot(job_id, owner)
    except NotFound:
        return None


def test_they_tell_what_a_thread_reads(store: Store, valkey: ValkeyServer) -> None:
    jobs = [make_job(owner=owner) for owner in ("ann", "bob")]
    store.submit(jobs)
    asked = [
        (job_id, owner)
        for job_id in (*(job.id for job in jobs), "01m8djw08f7mx7pajyzz4376vf")
        for owner in (None, "ann", "bob")
    ]

    async def read() -> list[Snapshot | None]:
        async with aclosing(QuickReads(valkey.url)) as reads:
            found = await asyncio.gather(*(reads.snapshot(*it) for it in asked))
            return [snapshot for snapshot, _ in found]

    assert asyncio.run(read()) == [in_a_thread(store, *it) for it in asked]


def test_hundreds_share_one_connection_and_few_round_trips(
    store: Store, valkey: ValkeyServer
) -> None:
    jobs = [make_job() for _ in range(300)]
    store.submit(jobs)

    async def read() -> tuple[list[Snapshot | None], int]:
        async with aclosing(QuickReads(valkey.url)) as reads:
            await reads.snapshot(jobs[0].id, None)
            found = await asyncio.gather(*(reads.snapshot(job.id, None) for job in jobs))
            return [it for it, _ in found], sum(
                1 for it in store.connection.redis.client_list() if not it["name"]
            )

    before = len(store.connection.redis.client_list())
    found, clients = asyncio.run(read())
    assert [it.id for it in found if it] == [job.id for job in jobs]
    assert clients <= before + 1


def test_a_silent_store_is_waited_for_once_and_a_new_one_is_found(
    own_valkey: ValkeyServer,
) -> None:
    store = Store.at(own_valkey.url)
    job = make_job()
    store.submit([job])

    async def seconds_of_a_refusal(reads: QuickReads) -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await reads.snapshot(job.id, None)
        return time.monotonic() - began

    async def read() -> None:
        async with aclosing(QuickReads(own_valkey.url)) as reads:
            assert await reads.snapshot(job.id, None)
            os.kill(own_valkey.pid, signal.SIGSTOP)
            try:
                first = await asyncio.gather(*(seconds_of_a_refusal(reads) for _ in range(5)))
                assert max(first) < 2.5
                assert await seconds_of_a_refusal(reads) < 0.5
            finally:
                os.kill(own_valkey.pid, signal.SIGCONT)
            await asyncio.sleep(0.5)
            assert await reads.snapshot(job.id, None)
            own_valkey.kill()
            assert await seconds_of_a_refusal(reads) < 2
            own_valkey.start()
            await asyncio.sleep(0.5)
            assert await reads.snapshot(job.id, None)

    asyncio.run(read())


def test_a_request_that_is_gone_takes_nobodys_answer(store: Store, valkey: ValkeyServer) -> None:
    jobs = [make_job() for _ in range(3)]
    store.submit(jobs)

    async def read() -> list[Snapshot | None]:
        async with aclosing(QuickReads(valkey.url)) as reads:
            tasks = [asyncio.create_task(reads.snapshot(job.id, None)) for job in jobs]
            await asyncio.sleep(0)
            tasks[1].cancel()
            asked = [await tasks[0], await tasks[2], await reads.snapshot(jobs[1].id, None)]
            return [snapshot for snapshot, _ in asked]

    found = asyncio.run(read())
    assert [it.id for it in found if it] == [jobs[0].id, jobs[2].id, jobs[1].id]
