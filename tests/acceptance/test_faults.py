"""One fault at a time on the whole system: what was accepted ends, once, and in time."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from clipmill.local.keys import make_key
from config.api_keys import KeyLimits
from config.settings import load_settings
from tasks.dispatch import Dispatcher, JobRequest
from tasks.dispatch.broker import Broker, make_celery
from tasks.kinds import ExtractSpec
from tasks.specs import Source
from tasks.storage import open_storage
from tasks.store import Store
from tests.chaos.link import Link
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.records import at_once
from tests.support.scripted_worker import read_effects
from tests.support.stack import Api
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
RECOVERED_SECONDS = 45
QUICK = {"scripted": True, "options": ["--quick"], "worker_concurrency": "4"}

Make = Callable[..., AbstractContextManager[System]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda **options: System(tmp_path / "s", **options)


def submit(system: System, name: str, kind: str = "download", **asked: object) -> str:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    return str(system.submit(kind=kind, source={"url": f"{SITE}/{name}?{query}"})["id"])


def events(system: System, event: str, job_id: str | None = None) -> list[dict[str, Any]]:
    lines = read_effects(system.effects)
    return [it for it in lines if it["event"] == event and job_id in (None, it["job"])]


def stored(system: System) -> list[Path]:
    return [path for path in (system.data / "artifacts").rglob("*") if path.is_file()]


def worker_of(system: System, job_id: str) -> Any:
    """The worker that began the job last."""
    assert eventually(lambda: events(system, "begin", job_id), 30)
    pid = events(system, "begin", job_id)[-1]["pid"]
    return next(worker for worker in system.workers if worker.pid == pid)


def test_a_killed_workers_job_runs_again_within_the_promised_time(make: Make) -> None:
    with make(scripted=True, workers=2) as system:
        job_id = submit(system, "long", seconds=4)
        worker = worker_of(system, job_id)
        time.sleep(2)
        worker.kill()
        killed_at = time.time()
        worker.wait()
        job = system.until(job_id, within_seconds=80)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        assert events(system, "begin", job_id)[1]["at"] - killed_at < RECOVERED_SECONDS
        assert len(stored(system)) == 1


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_worker_killed_at_any_part_of_a_job_doubles_and_loses_nothing(
    make: Make, part: float
) -> None:
    with make(**QUICK) as system:
        job_id = submit(system, "long", seconds=2)
        worker = worker_of(system, job_id)
        time.sleep(2 * part)
        worker.kill()
        worker.wait()
        system.start_worker()
        job = system.until(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        assert len(stored(system)) == 1
        assert eventually(lambda: system.attempt_folders() == [], 10)


def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on(make: Make) -> None:
    with make(**QUICK, workers=2) as system:
        job_id = submit(system, "long", seconds=1)
        stopped = worker_of(system, job_id)
        stopped.send_signal(signal.SIGSTOP)
        job = system.until(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        before = system.client.get(f"/api/v2/jobs/{job_id}").headers["etag"], stored(system)
        stopped.send_signal(signal.SIGCONT)
        assert eventually(lambda: "the lease is lost" in system.log("worker"), 20)
        time.sleep(1)
        after = system.client.get(f"/api/v2/jobs/{job_id}").headers["etag"], stored(system)
        assert after == before
        assert system.attempt_folders() == []


def test_a_job_that_kills_its_worker_each_time_ends_and_others_go_on(make: Make) -> None:
    with make(**QUICK) as system:
        poison = submit(system, "poison", kill="worker")
        others = [submit(system, f"good{number}") for number in range(5)]
        for _ in range(3):
            assert system.workers[-1].wait(30) == -signal.SIGKILL
            system.start_worker()
        job = system.until(poison)
        assert (job["state"], job["error"]["code"]) == ("failed", "worker_lost")
        assert {system.until(job_id)["state"] for job_id in others} == {"succeeded"}
        assert len(events(system, "begin", poison)) == 3
        assert system.workers[-1].poll() is None


def test_a_restart_of_the_store_doubles_and_loses_nothing(make: Make) -> None:
    with make(scripted=True, worker_concurrency="4") as system:
        jobs = [submit(system, f"busy{number}", seconds=6) for number in range(3)]
        assert eventually(lambda: len(events(system, "begin")) == 3, 30)
        time.sleep(1.2)  # the server's log reaches the disk each second
        system.valkey.kill()
        time.sleep(3)
        system.valkey.start()
        for job_id in jobs:
            job = system.until(job_id, within_seconds=60)
            assert (job["state"], job["attempt"]) == ("succeeded", 1)
        system.valkey.kill()  # while all is idle
        time.sleep(3)
        system.restart_store()
        late = submit(system, "late")
        assert system.until(late, within_seconds=60)["state"] == "succeeded"
        assert Counter(line["job"] for line in events(system, "begin")) == Counter([*jobs, late])
        assert len(stored(system)) == 4
        assert system.workers[0].poll() is None


def test_twenty_connection_resets_double_and_lose_nothing(make: Make) -> None:
    with make(scripted=True, worker_concurrency="4") as system, system.valkey.client() as client:
        jobs = [submit(system, f"job{number}", seconds=5) for number in range(4)]
        assert eventually(lambda: len(events(system, "begin")) == 4, 30)
        for _ in range(20):
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.15)
        for job_id in jobs:
            job = system.until(job_id, within_seconds=60)
            assert (job["state"], job["attempt"]) == ("succeeded", 1)
        assert Counter(line["job"] for line in events(system, "begin")) == Counter(jobs)


def test_a_worker_behind_a_dead_link_is_replaced_and_comes_back(make: Make) -> None:
    with make(**QUICK, workers=0) as system:
        link = Link(system.valkey.folder / "v.sock")
        far = system.start_worker(redis_url=link.url)
        system.wait_for_workers(1)
        job_id = submit(system, "long", seconds=3)
        assert worker_of(system, job_id) is far
        link.hang()
        hung_at = time.time()
        system.start_worker()
        job = system.until(job_id, within_seconds=60)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        assert events(system, "begin", job_id)[1]["at"] - hung_at < 60
        link.heal()
        system.workers[1].send_signal(signal.SIGTERM)
        assert system.workers[1].wait(20) == 0
        later = system.until(submit(system, "later"), within_seconds=60)  # by the one behind it
        assert later["state"] == "succeeded"
        assert events(system, "begin", later["id"])[0]["pid"] == far.pid
        assert len(stored(system)) == 2
        link.close()


def test_a_store_without_memory_refuses_new_jobs_and_lets_running_ones_end(make: Make) -> None:
    with make(scripted=True) as system, system.valkey.client() as client:
        running = submit(system, "running", seconds=3)
        worker_of(system, running)
        client.config_set("maxmemory", "1mb")
        refused = system.client.post(
            "/api/v2/jobs", json={"kind": "extract", "source": {"url": f"{SITE}/new"}}
        )
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert system.until(running)["state"] == "succeeded"
        client.config_set("maxmemory", "0")
        assert system.until(submit(system, "after"), within_seconds=60)["state"] == "succeeded"


def test_a_job_past_its_deadline_is_ended(make: Make) -> None:
    with make(scripted=True, job_deadline="2s") as system:
        begun = time.monotonic()
        job = system.until(submit(system, "long", seconds=60), within_seconds=30)
        assert (job["state"], job["error"]["code"]) == ("failed", "deadline_exceeded")
        assert time.monotonic() - begun < 2 + 10
        assert system.tools("made.mp4") == []


def test_one_tenants_flood_does_not_hold_up_another(make: Make) -> None:
    with make(scripted=True, worker_concurrency="2") as system:
        dispatcher = dispatcher_for(system)
        flood = [JobRequest(ExtractSpec(Source(url=f"{SITE}/{n}?seconds=1"))) for n in range(1000)]
        dispatcher.submit_batch(flood, "ann")
        assert eventually(lambda: len(events(system, "begin")) >= 2, 30)
        lone = dispatcher.submit(JobRequest(ExtractSpec(Source(url=f"{SITE}/lone"))), "bob").id
        at = time.time()
        assert eventually(lambda: events(system, "begin", lone), 20)
        between = [line for line in events(system, "begin") if line["at"] > at]
        # In the two places that there are, nobody begins twice before it.
        assert [line["job"] for line in between].index(lone) <= 2


def dispatcher_for(system: System) -> Dispatcher:
    settings = load_settings({"CLIPMILL_ALLOWED_NETWORKS": "127.0.0.0/8"})
    broker = Broker(make_celery(system.valkey.url))
    storage = open_storage((system.data / "artifacts").as_uri())
    return Dispatcher(Store.at(system.valkey.url), broker, storage, settings)


def test_fifty_equal_downloads_over_two_api_processes_are_fetched_once(
    make: Make, origin: Origin, media_folder: Path, tmp_path: Path
) -> None:
    video = cached_video(media_folder, Video(seconds=3.0, keyframe_seconds=1.0))
    for name in ("/one.mp4", "/many.mp4"):
        origin.add(name, answers.slow(video, bytes_per_second=200_000))
    (tmp_path / "api").mkdir()
    with (
        make() as system,
        Api(tmp_path / "api", system.valkey.url, allowed_networks="127.0.0.0/8") as other,
        other.client() as client,
    ):
        system.until(system.submit(kind="download", source={"url": origin.url("/one.mp4")})["id"])

        def ask(number: int) -> str:
            body = {"kind": "download", "source": {"url": origin.url("/many.mp4")}}
            answer = (client if number % 2 else system.client).post("/api/v2/jobs", json=body)
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        ended = [system.until(job_id) for job_id in at_once(ask, 50)]
        assert {job["state"] for job in ended} == {"succeeded"}
        assert len({job["result"]["artifacts"][0]["id"] for job in ended}) == 1
        assert origin.requests("/many.mp4") == origin.requests("/one.mp4")


def test_a_key_runs_no_more_jobs_at_once_than_it_may_and_wastes_no_time(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    key = make_key(file, "ann", ("read", "submit"), limits=KeyLimits(running_jobs=2))
    (tmp_path / "a").mkdir()
    with (
        System(tmp_path / "s", scripted=True, worker_concurrency="6") as system,
        Api(
            tmp_path / "a", system.valkey.url, api_keys_file=str(file),
            allowed_networks="127.0.0.0/8",
        ) as api,
        api.client(headers={"X-API-Key": key}) as client,
    ):  # fmt: skip
        limited = Store.at(system.valkey.url).connection.redis
        assert eventually(lambda: limited.hget("clipmill:most_running", "ann") == b"2", 10)
        sources = [{"source": {"url": f"{SITE}/{n}?seconds=0.5"}} for n in range(10)]
        body = {"defaults": {"kind": "extract"}, "jobs": sources}
        batch = client.post("/api/v2/batches", json=body).json()
        began = time.monotonic()
        path = f"/api/v2/batches/{batch['id']}"
        assert client.get(path, params={"wait": 15}).json()["state"] == "succeeded"
        # Ten jobs of half a second, two at a time: no job waits for the housekeeper.
        assert 2.5 <= time.monotonic() - began < 6
        steps = sorted((it["at"], it["event"]) for it in read_effects(system.effects))
        at_once = most = 0
        for _, event in steps:
            at_once += 1 if event == "begin" else -1
            most = max(most, at_once)
        assert most == 2
