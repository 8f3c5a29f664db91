"""Two things at the same moment: a cancel and a start, a cancel and a finish."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tasks.store import Store
from tests.support.processes import eventually
from tests.support.records import Records
from tests.support.scripted_worker import read_effects
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
EACH = 100
WORK_SECONDS = 0.1
LARGE_BYTES = 60_000_000  # takes long enough to store that one can step in between
WIDTH_SECONDS = 0.4  # what a job takes from its begin to its end, and a little more


def cancel(system: System, job_id: str, after_seconds: float) -> int:
    time.sleep(after_seconds)
    return system.client.post(f"/api/v2/jobs/{job_id}/cancel").status_code


def submit(system: System, name: str) -> str:
    url = f"{SITE}/{name}?seconds={WORK_SECONDS}"
    return str(system.submit(kind="download", source={"url": url})["id"])


def begun(system: System) -> set[str]:
    return {line["job"] for line in read_effects(system.effects) if line["event"] == "begin"}


def cancels_at_the_start(system: System, pool: ThreadPoolExecutor) -> dict[str, Future[int]]:
    """Each job is cancelled about when an idle worker hears of it."""
    asked = {}
    for number in range(EACH):
        job_id = submit(system, f"start{number}")
        asked[job_id] = pool.submit(cancel, system, job_id, random.uniform(0, 0.05))
        time.sleep(0.02)
    return asked


def cancels_at_the_finish(system: System, pool: ThreadPoolExecutor) -> dict[str, Future[int]]:
    """Each job is cancelled at some moment after its work began, up to its end."""
    jobs = {submit(system, f"finish{number}") for number in range(EACH)}
    asked: dict[str, Future[int]] = {}

    def all_asked() -> bool:
        for job_id in (begun(system) & jobs) - set(asked):
            asked[job_id] = pool.submit(cancel, system, job_id, random.uniform(0, WIDTH_SECONDS))
        return len(asked) == EACH

    assert eventually(all_asked, 90)
    return asked


def stored(system: System) -> list[Path]:
    return [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]


def stopped_while_storing(system: System) -> str:
    """A job whose worker stands still just when it brings the result into storage."""
    for number in range(10):
        url = f"{SITE}/large{number}?bytes={LARGE_BYTES}"
        job_id = str(system.submit(kind="download", source={"url": url})["id"])
        system.until(job_id, lambda job: job["phase"] == "storing" or job["finished_at"])
        system.workers[0].send_signal(signal.SIGSTOP)
        if system.job(job_id)["phase"] == "storing":
            return job_id
        system.workers[0].send_signal(signal.SIGCONT)  # it had ended in that very moment
    raise AssertionError("every one of ten jobs was stored too quickly to be stopped")


def test_a_cancel_while_the_result_is_stored_leaves_no_file(tmp_path: Path) -> None:
    with System(tmp_path / "s", scripted=True) as system, system.valkey.client() as client:
        job_id = stopped_while_storing(system)
        others = len(system.client.get("/api/v2/jobs").json()["jobs"]) - 1
        try:
            assert cancel(system, job_id, 0) == 202
            assert system.job(job_id)["state"] == "running"
        finally:
            system.workers[0].send_signal(signal.SIGCONT)
        job = system.until(job_id, within_seconds=10)
        assert (job["state"], job["result"], job["error"]) == ("cancelled", None, None)
        assert eventually(lambda: len(stored(system)) == others, 5)
        assert eventually(lambda: system.attempt_folders() == [], 5)
        assert eventually(lambda: client.zcard("clipmill:leases") == 0, 5)
        Records(client).check(Store.at(system.valkey.url))


def test_two_hundred_cancels_give_one_end_each_and_files_that_agree(tmp_path: Path) -> None:
    with (
        System(tmp_path / "s", scripted=True, worker_concurrency="16") as system,
        ThreadPoolExecutor(32) as pool,
    ):
        ends = set()
        succeeded = 0
        for race in (cancels_at_the_start, cancels_at_the_finish):
            for job_id, asked in race(system, pool).items():
                status = asked.result()
                state = system.until(job_id)["state"]
                assert (status, state) in {(202, "cancelled"), (409, "succeeded")}
                succeeded += state == "succeeded"
                ends.add((race.__name__, state))
        assert {("cancels_at_the_start", "cancelled")} < ends
        assert {("cancels_at_the_finish", s) for s in ("cancelled", "succeeded")} <= ends
        assert eventually(lambda: system.attempt_folders() == [], 10)
        assert eventually(lambda: system.tools("made.mp4") == [], 10, every_seconds=0.1)
        assert len(stored(system)) == succeeded
        with system.valkey.client() as client:
            assert eventually(lambda: client.zcard("clipmill:leases") == 0, 10)
            Records(client).check(Store.at(system.valkey.url))
