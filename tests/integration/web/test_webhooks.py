"""Webhooks over HTTP: registered, read, refused, sent again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from clipmill.local.keys import make_key
from config.api import API_BASE
from tasks.webhook import EVENTS
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

WEBHOOKS = f"{API_BASE}/webhooks"
JOBS = f"{API_BASE}/jobs"
HOOK = "https://example.org/hook"
EXTRACT = {"kind": "extract", "source": {"url": "https://media.example/v"}}


def registered(client: httpx2.Client, **values: Any) -> dict[str, Any]:
    answer = client.post(WEBHOOKS, json={"url": HOOK, **values})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{WEBHOOKS}/{found['id']}"
    return found


def told(client: httpx2.Client, **values: Any) -> dict[str, Any]:
    """A job that was cancelled, and the delivery that tells of it."""
    job = client.post(JOBS, json={**EXTRACT, **values}).json()
    assert client.post(f"{JOBS}/{job['id']}/cancel").status_code == 202
    listed = client.get(f"{WEBHOOKS}/deliveries", params={"job_id": job["id"]}).json()
    (delivery,) = listed["deliveries"]
    found: dict[str, Any] = delivery
    return found


def test_a_webhook_is_registered_read_listed_and_deleted(client: httpx2.Client) -> None:
    made = registered(client, events=["job.failed"])
    assert (made["url"], made["events"], made["disabled"]) == (HOOK, ["job.failed"], None)
    assert client.get(f"{WEBHOOKS}/{made['id']}").json() == made
    assert client.get(WEBHOOKS).json() == {"webhooks": [made]}
    assert client.delete(f"{WEBHOOKS}/{made['id']}").status_code == 204
    assert client.get(f"{WEBHOOKS}/{made['id']}").status_code == 404
    assert client.delete(f"{WEBHOOKS}/{made['id']}").status_code == 404
    assert client.get(WEBHOOKS).json() == {"webhooks": []}


def test_without_events_a_webhook_is_told_of_all(client: httpx2.Client) -> None:
    assert registered(client)["events"] == list(EVENTS)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://example.org/x"}, "/url"),
        ({"url": "http://127.0.0.1/x"}, "/url"),
        ({"url": "http://169.254.169.254/latest"}, "/url"),
        ({"url": "https://user:pw@example.org/"}, "/url"),
        ({"url": HOOK, "events": []}, "/events"),
        ({"url": HOOK, "events": ["job.done"]}, "/events/0"),
        ({"url": HOOK, "events": "job.failed"}, "/events"),
        ({"url": HOOK, "secret": "x"}, "/secret"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused(
    client: httpx2.Client, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post(WEBHOOKS, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    if body:
        answer = client.post(JOBS, json={**EXTRACT, "webhook": body})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/webhook{pointer}"
        batch = {"jobs": [{**EXTRACT, "webhook": {"url": HOOK}}, {**EXTRACT, "webhook": body}]}
        answer = client.post(f"{API_BASE}/batches", json=batch)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/jobs/1/webhook{pointer}"


def test_no_more_than_twenty_are_registered(client: httpx2.Client) -> None:
    for _ in range(20):
        registered(client)
    answer = client.post(WEBHOOKS, json={"url": HOOK})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


def test_the_job_shows_its_webhook_and_another_job_shows_none(client: httpx2.Client) -> None:
    named = client.post(JOBS, json={**EXTRACT, "webhook": {"url": HOOK}}).json()
    assert named["webhook"] == {"url": HOOK, "events": list(EVENTS)}
    assert "webhook" not in client.post(JOBS, json=EXTRACT).json()


def test_another_webhook_is_another_request_to_an_idempotency_key(client: httpx2.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post(JOBS, json=EXTRACT, headers=headers).status_code == 202
    other = client.post(JOBS, json={**EXTRACT, "webhook": {"url": HOOK}}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


def test_deliveries_show_what_waits_and_what_of(client: httpx2.Client) -> None:
    endpoint = registered(client)
    delivery = told(client)
    assert delivery["type"] == "job.cancelled"
    assert delivery["webhook_id"] == endpoint["id"]
    assert (delivery["state"], delivery["attempts"], delivery["tries"]) == ("waiting", 0, [])
    assert delivery["next_try_at"] is not None
    assert client.get(f"{WEBHOOKS}/deliveries/{delivery['id']}").json() == delivery
    assert client.get(f"{WEBHOOKS}/{endpoint['id']}").json()["waiting"] == 1
    answer = client.post(f"{WEBHOOKS}/deliveries/{delivery['id']}/redeliver")
    assert (answer.status_code, answer.json()["code"]) == (409, "delivery_not_final")


def test_deliveries_are_listed_in_pages(client: httpx2.Client) -> None:
    registered(client)
    made = [told(client)["id"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = client.get(f"{WEBHOOKS}/deliveries", params=query).json()
        seen += [it["id"] for it in page["deliveries"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    for wrong in (
        {"cursor": "x"},
        {"state": "lost"},
        {"limit": "0"},
        {"job_id": "a", "batch_id": "b"},
    ):
        assert client.get(f"{WEBHOOKS}/deliveries", params=wrong).status_code == 422
    assert (
        client.get(f"{WEBHOOKS}/deliveries", params={"state": "failed"}).json()["deliveries"] == []
    )


def test_an_ended_delivery_is_sent_again_and_an_unknown_one_is_not_found(
    client: httpx2.Client, api: Api
) -> None:
    registered(client)
    told(client)
    ((taken, _),) = api.outbox.deliveries.take("t", 30, places=1, failing=1, of_owner=1)
    assert api.outbox.deliveries.settle(taken, "failed", [{"at": 1.0, "status": 500, "seconds": 0}])
    shown = client.get(f"{WEBHOOKS}/deliveries/{taken.id}").json()
    assert (shown["state"], shown["tries"][0]["status"]) == ("failed", 500)
    again = client.post(f"{WEBHOOKS}/deliveries/{taken.id}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    for name in ("x", "0" * 26 + "-1", "../1"):
        assert client.post(f"{WEBHOOKS}/deliveries/{name}/redeliver").status_code == 404


def test_a_time_of_deliveries_is_sent_again(client: httpx2.Client, api: Api) -> None:
    registered(client)
    told(client)
    ((taken, _),) = api.outbox.deliveries.take("t", 30, places=1, failing=1, of_owner=1)
    api.outbox.deliveries.settle(taken, "failed", [])
    again = f"{WEBHOOKS}/deliveries/redeliver"
    none = client.post(
        again, json={"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
    )
    assert none.json() == {"redelivered": 0}
    delivered = client.post(again, json={"since": "2020-01-01T00:00:00Z", "state": "delivered"})
    assert delivered.json() == {"redelivered": 0}
    found = client.post(again, json={"since": "2020-01-01T00:00:00Z", "state": "failed"})
    assert (found.status_code, found.json()) == (202, {"redelivered": 1})
    for wrong in (
        {},
        {"since": "yesterday"},
        {"since": "2020-01-01"},
        {"since": "2020-01-02T00:00:00Z", "until": "2020-01-01T00:00:00Z"},
    ):
        assert client.post(again, json=wrong).status_code == 422


def test_the_secret_is_made_once_and_rotated(client: httpx2.Client) -> None:
    first = client.get(f"{WEBHOOKS}/secret").json()
    assert first["secret"].startswith("whsec_")
    assert client.get(f"{WEBHOOKS}/secret").json() == first
    second = client.post(f"{WEBHOOKS}/secret/rotate").json()
    assert second["previous"] == first["secret"] != second["secret"]
    assert second["previous_until"] is not None


def test_the_public_keys_are_for_everyone(client: httpx2.Client) -> None:
    keys = client.get("/.well-known/webhook-keys").json()["keys"]
    assert [key["public_key"][:5] for key in keys] == ["whpk_"]
    assert client.get("/.well-known/webhook-keys").json()["keys"] == keys


def test_a_key_sees_its_own_webhooks_alone_and_a_reader_no_secret(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    ann, bob = make_key(file, "ann", ("read", "submit")), make_key(file, "bob", ("read",))
    with Api(tmp_path, valkey.url, api_keys_file=str(file)) as api:
        with api.client(headers={"X-API-Key": ann}) as client:
            made = registered(client)
            delivery = told(client)
        with api.client(headers={"X-API-Key": bob}) as client:
            assert client.get(WEBHOOKS).json() == {"webhooks": []}
            assert client.get(f"{WEBHOOKS}/{made['id']}").status_code == 404
            assert client.get(f"{WEBHOOKS}/deliveries").json()["deliveries"] == []
            assert client.get(f"{WEBHOOKS}/deliveries/{delivery['id']}").status_code == 404
            assert client.get(f"{WEBHOOKS}/secret").status_code == 403
            assert client.delete(f"{WEBHOOKS}/{made['id']}").status_code == 403
        with api.client() as client:
            assert client.get(WEBHOOKS).status_code == 401
            assert client.get("/.well-known/webhook-keys").status_code == 200
