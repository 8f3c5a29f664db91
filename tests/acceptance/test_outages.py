"""Outages that last: a minute without the store, two behind a link that is dead and says nothing.

With the leases and time-outs of production. Most of the time is spent waiting, side by side.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tasks.store import Store
from tests.chaos.link import Link
from tests.support.processes import eventually
from tests.support.records import Records
from tests.support.scripted_worker import read_effects
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
DOWN_SECONDS = 60
HUNG_SECONDS = 120
DETECTED_SECONDS = 60
RESUMED_SECONDS = 60
# So long that the worker behind the dead link has its result before the link is mended.
WORK_SECONDS = 100
# Of jobs that run when the store goes away: ended before their leases are, and after that.
BUSY_SECONDS = (5, 45)


def submit(system: System, name: str, seconds: float = 0) -> str:
    url = f"{SITE}/{name}?seconds={seconds}"
    return str(system.submit(kind="download", source={"url": url})["id"])


def begins(system: System, job_id: str) -> list[dict[str, float]]:
    lines = read_effects(system.effects)
    return [line for line in lines if line["event"] == "begin" and line["job"] == job_id]


def stored(system: System) -> list[Path]:
    return [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def processes_of(system: System) -> list[object]:
    """What has ended of API and workers: nobody restarts anything here."""
    return [process.poll() for process in (system.api, *system.workers)]


def assert_each_has_one_effect(system: System, jobs: list[str]) -> None:
    """They ran while the store was away for longer than their leases last."""
    for job_id in jobs:
        job = system.until(job_id, within_seconds=RESUMED_SECONDS + max(BUSY_SECONDS))
        assert job["state"] == "succeeded"
        # A result that could not be written before its lease had ended is made once more.
        assert job["attempt"] == len(begins(system, job_id)) <= 2
    assert len(stored(system)) == len(jobs)
    assert eventually(lambda: system.attempt_folders() == [], 10)
    with system.valkey.client() as client:
        assert client.zcard("clipmill:leases") == 0
        Records(client).check(Store.at(system.valkey.url))
    assert processes_of(system) == [None, None]


@pytest.mark.timeout(400)
def test_a_minute_without_the_store_and_two_on_a_dead_link_cost_nothing_but_time(
    tmp_path: Path,
) -> None:
    with (
        System(tmp_path / "idle", scripted=True) as idle,
        System(tmp_path / "cut", scripted=True, workers=0) as cut,
        System(tmp_path / "busy", scripted=True, worker_concurrency="4") as busy,
    ):
        link = Link(cut.valkey.folder / "v.sock")
        far = cut.start_worker(redis_url=link.url)
        near = cut.start_worker()
        cut.wait_for_workers(2)
        near.send_signal(signal.SIGSTOP)  # so that the far one takes the job
        job_id = submit(cut, "long", WORK_SECONDS)
        assert eventually(lambda: begins(cut, job_id), 20)
        near.send_signal(signal.SIGCONT)
        under_way = [submit(busy, f"busy{seconds}", seconds) for seconds in BUSY_SECONDS]
        assert eventually(lambda: all(begins(busy, it) for it in under_way), 20)
        link.hang()
        hung_at = time.time()
        time.sleep(1.2)  # the server's log reaches the disk each second
        for system in (idle, busy):
            system.valkey.kill()
        killed_at = time.time()

        # Detected from outside, and run elsewhere, while the first still works at it.
        assert eventually(lambda: len(begins(cut, job_id)) == 2, DETECTED_SECONDS)
        assert begins(cut, job_id)[1]["pid"] == near.pid
        assert begins(cut, job_id)[1]["at"] - hung_at < DETECTED_SECONDS

        sleep_until(killed_at + DOWN_SECONDS)
        for system in (idle, busy):
            system.valkey.start()
        started_at = time.time()
        late = idle.until(submit(idle, "late"), within_seconds=RESUMED_SECONDS)
        assert late["state"] == "succeeded"
        assert time.time() - started_at < RESUMED_SECONDS
        assert processes_of(idle) == [None, None]
        assert_each_has_one_effect(busy, under_way)

        sleep_until(hung_at + HUNG_SECONDS)
        link.heal()
        # The stale owner has its result in hand and may not write it; it goes on with other work.
        # Which thread of it hears of that first is chance.
        words = ("the lease is lost", "the store went away under a job")
        told = lambda: any(word in cut.log("worker") for word in words)  # noqa: E731
        assert eventually(told, 40), cut.log("worker")
        job = cut.until(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        assert len(begins(cut, job_id)) == 2
        assert len(stored(cut)) == 1
        near.terminate()
        assert near.wait(30) == 0
        after = cut.until(submit(cut, "after"), within_seconds=RESUMED_SECONDS)
        assert begins(cut, after["id"])[0]["pid"] == far.pid
        assert processes_of(cut) == [None, None, 0]
        link.close()
