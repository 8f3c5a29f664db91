"""Messages on a server of their own: it may forget them or go away, the records know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import eventually
from tests.support.scripted_worker import read_effects
from tests.support.system import System
from tests.support.valkey import ValkeyServer

SITE = "https://127.0.0.1/page"  # allowed here, and never asked


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    folder = tmp_path / "b"
    folder.mkdir()
    with ValkeyServer(folder, appendonly="no") as server:
        yield server


@pytest.fixture
def system(tmp_path: Path, broker: ValkeyServer) -> Iterator[System]:
    """A system whose messages go to that server, and which has no worker yet."""
    with System(
        tmp_path / "s", workers=0, scripted=True, broker_url=broker.url, worker_concurrency="16"
    ) as system:
        yield system


def submit(system: System, count: int) -> list[str]:
    jobs = [{"source": {"url": f"{SITE}/{number}"}} for number in range(count)]
    return [job["id"] for job in system.submit_batch(*jobs, kind="extract")["jobs"]]


def begun(system: System) -> list[str]:
    return sorted(line["job"] for line in read_effects(system.effects) if line["event"] == "begin")


def test_a_broker_that_forgets_a_hundred_messages_costs_nothing(
    system: System, broker: ValkeyServer
) -> None:
    jobs = submit(system, 100)
    with broker.client() as messages, system.valkey.client() as records:
        assert messages.llen("clipmill:celery:clipmill.extract") == 100
        assert not records.keys("clipmill:celery:*")
        assert not messages.keys("clipmill:job:*")
        messages.flushall()
    system.start_worker()
    for job_id in jobs:
        job = system.until(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert begun(system) == sorted(jobs)


def test_a_broker_that_is_away_delays_jobs_and_refuses_none(
    system: System, broker: ValkeyServer
) -> None:
    worker = system.start_worker()
    system.wait_for_workers(1)
    assert system.client.get("/health").json()["services"]["broker"] == {"status": "healthy"}
    broker.kill()
    asked_at = time.monotonic()
    jobs = submit(system, 3)
    assert time.monotonic() - asked_at < 5
    assert system.client.get("/readyz").status_code == 200
    health = system.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["services"]["broker"] == {"status": "degraded"}
    with system.valkey.client() as records:  # the house is kept all the same

        def rounds() -> float:
            return float(records.hget("clipmill:counters", "housekeeper_rounds_total") or 0)

        before = rounds()
        assert eventually(lambda: rounds() > before, 30), system.log("worker")
    broker.start()
    for job_id in jobs:
        assert system.until(job_id, within_seconds=60)["state"] == "succeeded"
    assert begun(system) == sorted(jobs)
    assert worker.poll() is None
