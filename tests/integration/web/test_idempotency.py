"""A client's own key names one submission, however often and wherever it is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.records import Records, at_once
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

EXTRACT = {"kind": "extract", "source": {"url": "https://media.example/v"}}
CLIP = {
    "kind": "clip",
    "source": {"url": "https://media.example/v"},
    "start": 1,
    "end": 2,
    "metadata": {"b": "2", "a": "1"},
}


@pytest.fixture(scope="module")
def apis(
    valkey_process: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Api]]:
    """Two API processes on one store."""
    folders = [tmp_path_factory.mktemp("api") for _ in range(2)]
    with Api(folders[0], valkey_process.url) as one, Api(folders[1], valkey_process.url) as two:
        yield [one, two]


@pytest.fixture(autouse=True)
def empty(valkey: ValkeyServer) -> None:
    """Nothing is in the store."""


def post(api: Api, body: dict[str, Any], key: str | None, path: str = "/api/v2/jobs") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    with api.client() as client:
        return client.post(path, json=body, headers=headers)


def job_count(api: Api, kind: str) -> int:
    return int(api.store.connection.redis.zcard(f"clipmill:index:kind:{kind}"))


@pytest.mark.parametrize("body", [EXTRACT, CLIP], ids=["extract", "clip"])
def test_fifty_posts_at_once_over_two_processes_are_one_job(
    apis: list[Api], valkey: ValkeyServer, body: dict[str, Any]
) -> None:
    found = at_once(lambda number: post(apis[number % 2], body, "key"), 50)
    assert {answer.status_code for answer in found} == {202}
    assert len({answer.json()["id"] for answer in found}) == 1
    assert len({answer.headers["Location"] for answer in found}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in found]
    assert sorted(replayed, key=str) == [None] + ["true"] * 49
    assert job_count(apis[0], body["kind"]) == 1
    assert job_count(apis[0], "download") == (1 if body is CLIP else 0)
    with valkey.client() as client:
        Records(client).check(apis[0].store)


def test_twenty_batches_at_once_are_one_batch(apis: list[Api], valkey: ValkeyServer) -> None:
    body = {"jobs": [{**CLIP, "end": 2 + number} for number in range(5)] + [EXTRACT] * 3}
    found = at_once(lambda number: post(apis[number % 2], body, "key", "/api/v2/batches"), 20)
    assert {answer.status_code for answer in found} == {202}
    assert len({answer.json()["id"] for answer in found}) == 1
    assert [job_count(apis[0], kind) for kind in ("extract", "clip", "download")] == [3, 5, 1]
    with valkey.client() as client:
        Records(client).check(apis[0].store)


def test_the_order_of_fields_does_not_matter_but_what_is_asked_does(apis: list[Api]) -> None:
    first = post(apis[0], CLIP, "key")
    again = post(apis[1], dict(reversed(CLIP.items())), "key")
    assert again.json()["id"] == first.json()["id"]
    other = post(apis[1], {**CLIP, "end": 3}, "key")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    as_batch = post(apis[0], {"jobs": [CLIP]}, "key", "/api/v2/batches")
    assert as_batch.json()["code"] == "idempotency_key_reused"
    assert job_count(apis[0], "clip") == 1


def test_a_refused_request_leaves_its_key_free(apis: list[Api]) -> None:
    refused = post(apis[0], {**CLIP, "source": {"url": "http://127.0.0.1/x"}}, "key")
    assert refused.status_code == 422
    assert post(apis[0], CLIP, "key").status_code == 202


def test_without_a_key_equal_requests_are_jobs_of_their_own(apis: list[Api]) -> None:
    assert post(apis[0], EXTRACT, None).json()["id"] != post(apis[0], EXTRACT, None).json()["id"]
    assert job_count(apis[0], "extract") == 2


def test_a_key_is_kept_for_a_day(apis: list[Api]) -> None:
    post(apis[0], EXTRACT, "key")
    (name,) = apis[0].store.connection.redis.keys("clipmill:idempotency:*")
    assert 86_390 < apis[0].store.connection.redis.ttl(name) <= 86_400
    apis[0].store.connection.redis.pexpire(name, 1)
    time.sleep(0.05)
    assert "Idempotency-Replayed" not in post(apis[0], EXTRACT, "key").headers


@pytest.mark.parametrize("key", ["", "x" * 129, "tab\there"], ids=["empty", "long", "control"])
def test_a_key_that_is_none_is_refused(apis: list[Api], key: str) -> None:
    answer = post(apis[0], EXTRACT, key)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert job_count(apis[0], "extract") == 0


def test_an_outage_between_the_write_and_its_answer_makes_no_second_job(
    apis: list[Api], valkey: ValkeyServer
) -> None:
    """The client asks again because nobody answered; in between every connection was cut."""
    first = post(apis[0], EXTRACT, "key").json()["id"]
    with valkey.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert post(apis[0], EXTRACT, "key").json()["id"] == first
    assert job_count(apis[0], "extract") == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/v2/jobs", EXTRACT), ("/api/v2/batches", {"jobs": [EXTRACT, CLIP]})],
    ids=["job", "batch"],
)
def test_who_asks_again_later_gets_the_first_answer_whatever_has_happened_since(
    apis: list[Api], path: str, body: dict[str, Any]
) -> None:
    first = post(apis[0], body, "key", path)
    with apis[0].client() as client:
        for job in first.json().get("jobs", [first.json()]):
            client.post(f"/api/v2/jobs/{job['id']}/cancel").raise_for_status()
            client.delete(f"/api/v2/jobs/{job['id']}").raise_for_status()
    again = post(apis[1], body, "key", path)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
