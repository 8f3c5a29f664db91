"""What the engine tells through the API: a job's story, failures by code, files that are gone."""

from __future__ import annotations

import time

import httpx2

from tasks.errors import NetworkError, Unavailable
from tests.support.stack import Api, Hands

BODY = {"kind": "download", "source": {"url": "https://media.example/v"}}


def test_a_timeline_is_read_by_its_owner(client: httpx2.Client, hands: Hands) -> None:
    job = client.post("/api/v2/jobs", json=BODY).json()
    hands.finish(hands.take())
    told = client.get(f"/api/v2/jobs/{job['id']}/timeline")
    assert told.status_code == 200
    assert told.json()["id"] == job["id"]
    assert [event["event"] for event in told.json()["events"]] == ["queued", "running", "succeeded"]
    assert all(event["at"].endswith("Z") for event in told.json()["events"])
    assert client.get("/api/v2/jobs/nothing/timeline").status_code == 404


def test_failed_jobs_are_found_by_their_code(client: httpx2.Client, hands: Hands) -> None:
    for number, error in enumerate((Unavailable("gone"), NetworkError("cut"), Unavailable("gone"))):
        body = {**BODY, "source": {"url": f"https://media.example/{number}"}}
        client.post("/api/v2/jobs", json=body)
        hands.fail(hands.take(), error)
    for code, count in (("unavailable", 2), ("network_error", 1), ("too_large", 0)):
        found = client.get("/api/v2/jobs", params={"state": "failed", "error_code": code}).json()
        assert [job["error"]["code"] for job in found["jobs"]] == [code] * count
    refused = client.get("/api/v2/jobs", params={"error_code": "bad_luck"})
    assert refused.status_code == 422


def test_failures_are_summed_up_and_run_again_together(client: httpx2.Client, hands: Hands) -> None:
    for number, error in enumerate([Unavailable("gone")] * 3 + [NetworkError("cut")]):
        body = {**BODY, "source": {"url": f"https://media.example/{number}"}}
        client.post("/api/v2/jobs", json=body)
        hands.fail(hands.take(), error)
    told = client.get("/api/v2/failures").json()["failures"]
    assert [(group["code"], group["count"]) for group in told] == [
        ("unavailable", 3),
        ("network_error", 1),
    ]
    assert (told[0]["kind"], told[0]["message"]) == ("download", "gone")
    asked = {"error_code": "unavailable", "limit": 2}
    again = client.post("/api/v2/failures/retry", json=asked)
    assert again.status_code == 202
    assert len(again.json()["retried"]) == 2
    assert again.json()["retried"][0] == told[0]["newest_id"]
    left = client.get("/api/v2/jobs", params={"state": "failed"}).json()["jobs"]
    assert sorted(job["error"]["code"] for job in left) == ["network_error", "unavailable"]
    assert len(client.post("/api/v2/failures/retry", json={}).json()["retried"]) == 2
    assert client.get("/api/v2/failures").json() == {"failures": []}
    refused = client.post("/api/v2/failures/retry", json={"state": "failed"})
    assert refused.status_code == 422


def test_a_file_that_was_given_up_is_gone_for_good(
    api: Api, client: httpx2.Client, hands: Hands
) -> None:
    client.post("/api/v2/jobs", json=BODY)
    artifact = hands.finish(hands.take())
    url = f"/api/v2/artifacts/{artifact.id}"
    assert client.get(url).status_code == 200
    assert api.store.artifacts.expire(artifact.id, time.time() - 60) is None  # just used
    assert api.store.artifacts.expire(artifact.id, time.time() + 60) is not None
    gone = client.get(url)
    assert (gone.status_code, gone.json()["code"]) == (410, "artifact_expired")
