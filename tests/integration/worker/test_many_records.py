"""Twenty thousand queued jobs: reading, housekeeping and taking work cost the store little."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tasks.ids import IdMaker
from tasks.job import WaitReason
from tasks.store import JobQuery, Store
from tests.support.engine import Engine
from tests.support.records import make_job
from tests.support.valkey import ValkeyServer

QUEUED = 18_000
DELAYED = 2_000
MOST_COMMANDS = 600
MIB = 1024**2


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server with that many records of five owners in twenty batches."""
    with ValkeyServer(tmp_path_factory.mktemp("v"), appendfsync="no") as server:
        store, new_id = Store.at(server.url), IdMaker()
        for number in range(20):
            batch_id, owner = new_id(), f"owner{number % 5}"
            jobs = [
                make_job(id=new_id(), batch_id=batch_id, owner=owner) for _ in range(QUEUED // 20)
            ]
            store.add_batch(batch_id, owner, time.time(), jobs)
        later = time.time() + 1000
        for _ in range(DELAYED // 500):
            batch_id = new_id()
            jobs = [
                make_job(
                    id=new_id(), batch_id=batch_id, wait_reason=WaitReason.RETRY, not_before=later
                )
                for _ in range(500)
            ]
            store.add_batch(batch_id, "ann", time.time(), jobs)
        yield server


@pytest.fixture
def engine(crowded: ValkeyServer, tmp_path: Path) -> Iterator[Engine]:
    with Engine(crowded.url, tmp_path) as engine:
        yield engine


def cost_of(server: ValkeyServer, work: Callable[[], object]) -> tuple[int, int]:
    """How many commands the server carried out for it, and the microseconds it spent on them.

    What a script calls counts as well: this is work done, not time waited, so a busy machine does
    not change the number of commands.
    """
    with server.client() as client:
        client.config_resetstat()
        work()
        told = client.info("commandstats")
    ours = {name: stat for name, stat in told.items() if "config" not in name}
    commands = sum(stat["calls"] for stat in ours.values())
    return commands, sum(stat["usec"] for stat in ours.values())


@pytest.mark.parametrize(
    "query",
    [
        JobQuery(limit=200),
        JobQuery(state="queued", kind="extract"),
        JobQuery(kind="download"),
        JobQuery(state="failed"),
    ],
    ids=["all", "queued extracts", "no downloads", "no failures"],
)
def test_a_page_costs_no_more_than_a_page(
    crowded: ValkeyServer, engine: Engine, query: JobQuery
) -> None:
    commands, _ = cost_of(crowded, lambda: engine.store.list_snapshots(query, None))
    assert commands < MOST_COMMANDS


@pytest.mark.parametrize("reads", ["gauges", "counters", "workers", "queued_total"])
def test_numbers_cost_no_more_than_with_few_jobs(
    crowded: ValkeyServer, engine: Engine, reads: str
) -> None:
    commands, _ = cost_of(crowded, getattr(engine.store, reads))
    assert commands < 40


def test_keeping_house_costs_little_while_nothing_is_amiss(
    crowded: ValkeyServer, engine: Engine
) -> None:
    commands, _ = cost_of(crowded, engine.housekeeper.round)
    assert commands < MOST_COMMANDS


def test_taking_and_ending_a_job_costs_the_same_as_ever(
    crowded: ValkeyServer, engine: Engine
) -> None:
    commands, _ = cost_of(crowded, lambda: engine.runner.run_next("extract"))
    assert commands < MOST_COMMANDS


def test_a_worker_does_not_grow_with_the_queue(crowded: ValkeyServer, engine: Engine) -> None:
    engine.housekeeper.round()
    before = psutil.Process().memory_info().rss
    for _ in range(20):
        engine.housekeeper.round()
        engine.runner.run_next("extract")
    assert psutil.Process().memory_info().rss - before < 16 * MIB
