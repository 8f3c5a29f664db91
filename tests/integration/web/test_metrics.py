"""Numbers stay true with several API processes, restarts, a store that is away, and odd clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tasks.store.keys import key
from tests.integration.web.test_descriptions import metrics_of, worker_report
from tests.integration.web.test_jobs import submitted
from tests.integration.web.test_submission import JOBS
from tests.support.processes import eventually
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]
REQUESTS = "clipmill_http_request_seconds_count"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    folder = tmp_path / "v"
    folder.mkdir()
    with ValkeyServer(folder) as server:
        yield server


def requests_of(found: Found, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (name, row), value in found.items() if name == REQUESTS and wanted <= row)


def started(folder: Path, valkey: ValkeyServer) -> Api:
    folder.mkdir()
    return Api(folder, valkey.url)


def test_every_api_process_tells_the_requests_of_all_and_a_restart_forgets_none(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with started(tmp_path / "a", valkey) as one, started(tmp_path / "b", valkey) as other:
        with one.client() as client, other.client() as another:
            for _ in range(3):
                client.get("/livez")
            for _ in range(4):
                another.get("/livez")
            metrics_of(client)
            assert requests_of(metrics_of(another), route="/livez") == 7
            assert requests_of(metrics_of(client), route="/livez") == 7
            client.get("/livez")
        one.stop()
        with other.client() as another:
            assert requests_of(metrics_of(another), route="/livez") == 8
        one.start()
        with one.client() as client:
            assert requests_of(metrics_of(client), route="/livez") == 8


def test_requests_are_counted_while_the_store_is_away(tmp_path: Path, valkey: ValkeyServer) -> None:
    with started(tmp_path / "a", valkey) as api, api.client() as client:
        job_id = submitted(client)
        before = metrics_of(client)
        valkey.kill()
        assert client.get(f"{JOBS}/{job_id}").status_code == 503
        during = metrics_of(client)
        assert during["clipmill_store_up", frozenset()] == 0
        assert requests_of(during, status="503") == 1
        assert requests_of(during, status="202") == requests_of(before, status="202")
        valkey.start()
        assert eventually(lambda: requests_of(metrics_of(client), status="503") == 1, 10)


def test_a_worker_that_fell_silent_is_down_and_one_that_took_leave_is_not_there(
    client: httpx2.Client, api: Api
) -> None:
    for name in ("w1", "w2", "w3"):
        api.store.workers.report(replace(worker_report(), id=name))
    api.store.connection.redis.delete(key("worker", "w2"))  # as when it expires
    api.store.workers.forget("w3")
    found = metrics_of(client)
    up = {dict(row)["worker"]: value for (name, row), value in found.items() if "worker_up" in name}
    assert up == {"w1": 1, "w2": 0}
    assert found["clipmill_workers", frozenset()] == 1


def test_the_age_of_the_last_housekeeping_is_told(client: httpx2.Client, api: Api) -> None:
    age = ("clipmill_housekeeper_age_seconds", frozenset[Any]())
    assert metrics_of(client)[age] == float("inf")
    api.store.counters.note_housekeeping()
    found = metrics_of(client)
    assert 0 <= found[age] < 10
    assert found["clipmill_housekeeper_rounds_total", frozenset()] == 1


def test_nothing_that_a_client_makes_up_becomes_a_label(client: httpx2.Client) -> None:
    def strange(number: int) -> None:
        client.get(f"/no/{number}/such?path={number}")
        client.get(f"{JOBS}/made-up-{number}")
        client.post(JOBS, json={"kind": f"kind{number}", "source": {"url": f"https://{number}.x"}})
        client.request(f"METHOD{number}", "/")
        submitted(client, source={"url": f"https://site{number}.example/{number}"})

    for number in range(3):
        strange(number)
    metrics_of(client)  # to be asked for the numbers is a request as well, which the next ones show
    first = metrics_of(client)
    for number in range(3, 60):
        strange(number)
    later = metrics_of(client)
    # Buckets of a row are all there from the first observation on.
    assert later.keys() - first.keys() == set()


def test_a_scrape_asks_the_store_the_same_however_many_records_there_are(
    client: httpx2.Client, api: Api
) -> None:
    def commands() -> int:
        metrics_of(client)  # hands over what was gathered
        before = api.store.connection.redis.info("stats")["total_commands_processed"]
        metrics_of(client)
        return int(api.store.connection.redis.info("stats")["total_commands_processed"] - before)

    few = [commands() for _ in range(3)]
    for number in range(100):
        submitted(client, source={"url": f"https://site{number}.example/"})
    # Threads beside the scrape hand over too, and ask whether the store is there.
    assert min(commands() for _ in range(3)) <= max(few) + 12


def test_the_bottleneck_is_told_with_its_evidence_and_as_a_metric(
    client: httpx2.Client, api: Api
) -> None:
    without = client.get("/api/v2/system/bottleneck").json()
    assert (without["limit"], without["since"]) == ("nothing", None)
    for name, waiting in (("w1", 2), ("w2", 1)):
        report = replace(
            worker_report(), id=name, jobs_waiting_for_memory=waiting, limit="memory",
            limit_since=1e9, throttled_sites=("video.example",),
        )  # fmt: skip
        api.store.workers.report(report)
    found = client.get("/api/v2/system/bottleneck").json()
    assert (found["limit"], found["since"]) == ("memory", "2001-09-09T01:46:40.000Z")
    assert found["evidence"]["jobs_waiting_for_memory"] == 3
    assert found["evidence"]["workers_by_limit"] == {"memory": 2}
    assert found["evidence"]["throttled_sites"] == ["video.example"]
    metrics = metrics_of(client)
    limits = {
        dict(row)["limit"]: value for (name, row), value in metrics.items() if "bottleneck" in name
    }
    assert limits == {
        "memory": 1, "cpu": 0, "disk": 0, "network": 0, "site": 0, "nothing": 0,
    }  # fmt: skip
