"""The worker as a process: signals, faults inside a job, lost messages, and its own end."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.dispatch.broker import Broker, make_celery
from tests.support.processes import eventually
from tests.support.scripted_worker import read_effects
from tests.support.stack import Api
from tests.support.system import System
from worker.upkeep.watchdog import EXIT_STATUS

SITE = "https://127.0.0.1/page"  # allowed here, and never asked


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(
        tmp_path / "s", scripted=True, worker_concurrency="2", shutdown_grace="2s", queues="extract"
    ) as system:
        yield system


def submit(system: System, name: str, **asked: object) -> str:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    job = system.submit(kind="extract", source={"url": f"{SITE}/{name}?{query}"})
    return str(job["id"])


def begun(system: System) -> list[str]:
    """The jobs whose work began, once for each time."""
    return [line["job"] for line in read_effects(system.effects) if line["event"] == "begin"]


def test_nothing_that_a_job_raises_costs_the_worker_a_place(system: System) -> None:
    errors = ("MemoryError", "SystemExit", "KeyboardInterrupt", "RecursionError")
    jobs = [
        submit(system, f"{error}{number}", **{"raise": error})
        for error in errors
        for number in range(3)  # one more than it has places
    ]
    for job_id in jobs:
        job = system.until(job_id)
        assert (job["state"], job["error"]["code"]) == ("failed", "internal_error")
    assert system.until(submit(system, "well"))["state"] == "succeeded"
    assert system.workers[0].poll() is None
    assert "Running a worker with superuser privileges" not in system.log("worker")


def test_ten_messages_for_a_job_are_one_run(system: System) -> None:
    broker = Broker(make_celery(system.valkey.url))
    job_id = submit(system, "once", seconds=1)
    broker.publish([("extract", job_id)] * 10)
    assert system.until(job_id)["state"] == "succeeded"
    assert eventually(lambda: broker.waiting("extract") == 0, 10)
    assert begun(system) == [job_id]


def test_a_drain_lets_the_short_job_end_and_gives_the_long_one_back(system: System) -> None:
    short, long = submit(system, "short", seconds=1.5), submit(system, "long", seconds=60)
    waiting = [submit(system, f"waiting{number}") for number in range(5)]
    assert eventually(lambda: len(begun(system)) == 2, 25)
    assert eventually(lambda: len(system.tools("made.mp4")) == 2, 25)
    tools = system.tools("made.mp4")
    worker = system.workers[0]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(7) == 0
    assert not any(tool.is_running() for tool in tools)
    assert system.job(short)["state"] == "succeeded"
    back = system.job(long)
    assert (back["state"], back["attempt"]) == ("queued", 0)
    assert system.attempt_folders() == []
    assert list((system.data / "work").iterdir()) == []
    system.start_worker()
    for job_id in waiting:
        assert system.until(job_id)["state"] == "succeeded"
    assert eventually(lambda: begun(system).count(long) == 2, 25)
    system.client.post(f"/api/v2/jobs/{long}/cancel")
    assert system.until(long, within_seconds=10)["state"] == "cancelled"


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGQUIT, signal.SIGQUIT),
        (signal.SIGINT, signal.SIGTERM),
    ],
    ids=lambda numbers: " then ".join(number.name for number in numbers),
)
def test_a_second_signal_makes_it_hurry(tmp_path: Path, numbers: tuple[int, int]) -> None:
    with System(tmp_path / "s", scripted=True, shutdown_grace="60s") as system:
        job_id = submit(system, "long", seconds=60)
        assert eventually(lambda: begun(system), 25)
        assert eventually(lambda: system.tools("made.mp4"), 10)
        tools = system.tools("made.mp4")
        worker = system.workers[0]
        worker.send_signal(numbers[0])
        assert not eventually(lambda: worker.poll() is not None, 1)
        worker.send_signal(numbers[1])
        assert worker.wait(10) == 0
        assert not any(tool.is_running() for tool in tools)
        assert (system.job(job_id)["state"], system.job(job_id)["attempt"]) == ("queued", 0)


def test_a_work_folder_in_memory_is_told_of_whatever_the_rest_lies_on(tmp_path: Path) -> None:
    """It may be mounted by itself, as in the compose file; tools write there and nowhere else."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as in_memory:
        (tmp_path / "s" / "data").mkdir(parents=True)
        (tmp_path / "s" / "data" / "work").symlink_to(in_memory)
        with System(tmp_path / "s", scripted=True) as system:
            told = (tmp_path / "s" / "worker.log").read_text()
            assert "the work folder lies in memory" in told
            assert "tools get no memory groups" in told
            assert system.until(submit(system, "one"))["state"] == "succeeded"


def test_what_the_broker_forgot_is_sent_again(system: System) -> None:
    system.workers[0].send_signal(signal.SIGSTOP)
    jobs = [submit(system, f"job{number}") for number in range(10)]
    with system.valkey.client() as client:
        for name in client.keys("clipmill:celery:*"):
            client.delete(name)
    system.workers[0].send_signal(signal.SIGCONT)
    for job_id in jobs:
        assert system.until(job_id)["state"] == "succeeded"
    assert sorted(begun(system)) == sorted(jobs)


def test_a_worker_that_cannot_prove_progress_ends_and_its_job_runs_elsewhere(
    system: System,
) -> None:
    system.workers[0].send_signal(signal.SIGTERM)
    assert system.workers[0].wait(10) == 0
    stuck = system.start_worker("--stuck")
    job_id = submit(system, "long", seconds=30)
    assert eventually(lambda: begun(system), 20)
    assert eventually(lambda: system.tools("made.mp4"), 10)
    tools = system.tools("made.mp4")
    assert stuck.wait(30) == EXIT_STATUS
    assert eventually(lambda: not any(tool.is_running() for tool in tools), 5)
    assert system.job(job_id)["state"] == "running"
    assert "heartbeat" in system.log("worker")


def test_a_server_that_may_forget_jobs_is_told_of_or_refused(tmp_path: Path) -> None:
    with System(tmp_path / "s", redis_policy="refuse") as system, system.valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        refused = system.start_worker()
        assert refused.wait(20) == 2
        log = system.log("worker")
        assert "maxmemory-policy is allkeys-lru" in log
        assert "appendonly is off" in log
        (tmp_path / "api").mkdir()
        with pytest.raises(AssertionError, match="maxmemory-policy is allkeys-lru"):
            Api(tmp_path / "api", system.valkey.url, redis_policy="refuse").start()
        with Api(tmp_path / "api", system.valkey.url) as warned:
            assert "the Redis server may lose jobs" in warned.log()
