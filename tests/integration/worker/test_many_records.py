"""Twenty thousand queued jobs, ten thousand put off: what they cost the store and a worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import psutil
import pytest
import redis

from tasks.ids import IdMaker
from tasks.job import WaitReason
from tasks.store import JobQuery, NewBatch, Store
from tests.support.engine import Engine
from tests.support.processes import eventually
from tests.support.records import make_job
from tests.support.scripted_worker import read_effects
from tests.support.valkey import ValkeyServer

QUEUED = 20_000
DELAYED = 10_000
MOST_COMMANDS = 600
MIB = 1024**2
SLOW_MICROSECONDS = 50_000  # of the server's own time, for any one command


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
            store.submit(jobs, batch=NewBatch(batch_id, owner, time.time()))
        later = time.time() + 1000
        for _ in range(DELAYED // 500):
            batch_id = new_id()
            jobs = [
                make_job(
                    id=new_id(), batch_id=batch_id, wait_reason=WaitReason.RETRY, not_before=later
                )
                for _ in range(500)
            ]
            store.submit(jobs, batch=NewBatch(batch_id, "ann", time.time()))
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
    commands, _ = cost_of(crowded, lambda: engine.store.queries.page(query, None))
    assert commands < MOST_COMMANDS


@pytest.mark.parametrize(
    "reads", ["counters.gauges", "counters.read", "workers.present", "counters.queued_total"]
)
def test_numbers_cost_no_more_than_with_few_jobs(
    crowded: ValkeyServer, engine: Engine, reads: str
) -> None:
    commands, _ = cost_of(crowded, attrgetter(reads)(engine.store))
    assert commands < 40


def test_keeping_house_costs_little_while_nothing_is_amiss(
    crowded: ValkeyServer, engine: Engine
) -> None:
    commands, _ = cost_of(crowded, engine.housekeeper.keep_house)
    assert commands < MOST_COMMANDS


def test_taking_and_ending_a_job_costs_the_same_as_ever(
    crowded: ValkeyServer, engine: Engine
) -> None:
    commands, _ = cost_of(crowded, lambda: engine.runner.run_next("extract"))
    assert commands < MOST_COMMANDS


def test_the_first_due_of_ten_thousand_comes_first(crowded: ValkeyServer, engine: Engine) -> None:
    with crowded.client() as client:
        first = [item.decode() for item in client.zrange("clipmill:delayed", 0, 2)]
        for due, job_id in enumerate(reversed(first), start=1):
            client.zadd("clipmill:delayed", {job_id: due})
    assert engine.store.leases.due_retries() == list(reversed(first))
    commands, _ = cost_of(crowded, engine.housekeeper.keep_house)
    assert commands < MOST_COMMANDS
    assert engine.store.leases.due_retries() == []


@contextmanager
def worker_on(server: ValkeyServer, folder: Path) -> Iterator[psutil.Process]:
    """A real worker on a server that is full of jobs."""
    settings = {"REDIS_URL": server.url, "DATA_DIR": str(folder), "WORKER_CONCURRENCY": "2"}
    environ = {f"CLIPMILL_{name}": value for name, value in settings.items()}
    argv = [sys.executable, "-m", "tests.support.scripted_worker", str(folder / "effects")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, env={**os.environ, **environ}, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server with a few jobs and nothing else."""
    (tmp_path / "v").mkdir()
    with ValkeyServer(tmp_path / "v") as server:
        batch_id, new_id = IdMaker()(), IdMaker()
        jobs = [make_job(id=new_id(), batch_id=batch_id) for _ in range(60)]
        Store.at(server.url).submit(jobs, batch=NewBatch(batch_id, "ann", time.time()))
        yield server


def memory_after_some_work(server: ValkeyServer, worker: psutil.Process, folder: Path) -> int:
    """What a worker holds when it has done some jobs and kept house for a while."""

    def done() -> int:
        return len([line for line in read_effects(folder / "effects") if line["event"] == "end"])

    with server.client() as client:
        assert eventually(lambda: done() >= 5, 60)
        rounds = housekeeping(client)
        assert eventually(lambda: done() >= 20 and housekeeping(client) >= rounds + 4, 60)
    return int(worker.memory_info().rss)


def test_a_real_worker_stays_as_it_is_among_them_and_the_store_is_never_held_up(
    crowded: ValkeyServer, lonely: ValkeyServer, tmp_path: Path
) -> None:
    """As one is that knows of sixty jobs: what it loaded when it started would be seen as well."""
    for name in ("crowded", "lonely"):
        (tmp_path / name).mkdir()
    with (
        crowded.client() as client,
        worker_on(crowded, tmp_path / "crowded") as worker,
        worker_on(lonely, tmp_path / "lonely") as other,
    ):
        client.config_set("slowlog-log-slower-than", SLOW_MICROSECONDS)
        client.slowlog_reset()
        among_them = memory_after_some_work(crowded, worker, tmp_path / "crowded")
        alone = memory_after_some_work(lonely, other, tmp_path / "lonely")
        assert among_them - alone < 8 * MIB
        # A busy machine may stop the server once for so long; a slow command comes again.
        assert client.slowlog_len() <= 1, client.slowlog_get(5)


def housekeeping(client: redis.Redis) -> float:
    return float(client.hget("clipmill:counters", "housekeeper_rounds_total") or 0)
