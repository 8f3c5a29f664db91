"""Reading, following and steering jobs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx2
import pytest

from tasks.errors import NotMedia
from tests.integration.web.test_submission import CLIP, JOBS, URL, refused
from tests.support.loopback import LOOPBACK
from tests.support.stack import Api, Hands, following

DOWNLOAD = {"kind": "download", "source": {"url": URL}}


def submitted(client: httpx2.Client, **changes: object) -> str:
    answer = client.post(JOBS, json={**DOWNLOAD, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def later(seconds: float, do: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.start()
    return timer


def test_a_plain_poll_and_one_through_flask_answer_the_same(client: httpx2.Client) -> None:
    job_id = submitted(client)
    same_id = {"X-Request-Id": "mine"}
    plain = client.get(f"{JOBS}/{job_id}", headers=same_id)
    full = client.get(f"{JOBS}/{job_id}?wait=0", headers=same_id)
    assert plain.content == full.content
    assert {**plain.headers, "date": ""} == {**full.headers, "date": ""}
    assert plain.headers["x-request-id"] == "mine"


def test_waiting_for_a_job_that_has_ended_is_answered_the_same_by_both(
    client: httpx2.Client, hands: Hands
) -> None:
    job_id = submitted(client)
    hands.finish(hands.take())
    same_id = {"X-Request-Id": "mine"}
    quick = client.get(f"{JOBS}/{job_id}?wait=20", headers=same_id)
    full = client.get(f"{JOBS}/{job_id}?wait=20.0", headers=same_id)
    assert quick.json()["state"] == "succeeded"
    assert quick.content == full.content
    assert {**quick.headers, "date": ""} == {**full.headers, "date": ""}


@pytest.mark.parametrize(
    ("prefers", "applied"),
    [
        ("wait=1", "wait=1"),
        ("respond-async, wait=1", "wait=1"),
        ("wait=x", None),
        ("waiting=1", None),
    ],
)
def test_who_prefers_to_wait_too_short_a_time_gets_the_usual_answer(
    client: httpx2.Client, prefers: str, applied: str | None
) -> None:
    began = time.monotonic()
    answer = client.post(JOBS, json=DOWNLOAD, headers={"Prefer": prefers})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers.get("preference-applied") == applied
    assert (time.monotonic() - began >= 1) is (applied is not None)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("given", ["that", "W/that", "*", '"other"', '"other", that'])
def test_a_condition_means_the_same_to_a_plain_poll_and_one_through_flask(
    client: httpx2.Client, name: str, given: str
) -> None:
    path = f"{JOBS}/{submitted(client)}"
    headers = {name: given.replace("that", client.get(path).headers["etag"]), "X-Request-Id": "a"}
    plain, full = (client.get(f"{path}{query}", headers=headers) for query in ("", "?wait=0"))
    assert (plain.status_code, plain.content) == (full.status_code, full.content)
    assert {**plain.headers, "date": ""} == {**full.headers, "date": ""}
    if name == "If-None-Match":
        assert plain.status_code == (200 if given == '"other"' else 304)
    elif given in ("W/that", '"other"'):
        refused(plain, 412, "precondition_failed")
    else:
        assert plain.status_code == 200


def test_a_poll_is_one_read_of_the_store(client: httpx2.Client, api: Api) -> None:
    job_id = submitted(client)
    client.get(f"{JOBS}/{job_id}")  # the connection is there
    redis = api.store.connection.redis
    with redis.monitor() as monitor:
        for _ in range(20):
            client.get(f"{JOBS}/{job_id}")
        redis.echo("the end of the polls")
        seen = Counter[str]()
        for command in monitor.listen():  # of all clients, also of what earlier tests left waiting
            name, *words = command["command"].split()
            if "the" in words:
                break
            if f"clipmill:job:{job_id}" in words:
                seen[name] += 1
            elif name not in {"PING", "HMGET", "HINCRBYFLOAT"}:
                seen[f"other {name}"] += 1
    assert seen.pop("HMGET") == 20
    # What the process counts for its metrics (HINCRBYFLOAT) it writes now and then, once for each
    # route that was used since.
    assert max(seen.values(), default=0) < 10


def test_a_client_that_has_the_job_already_gets_304_until_it_changes(
    client: httpx2.Client, hands: Hands
) -> None:
    job_id = submitted(client)
    etag = client.get(f"{JOBS}/{job_id}").headers["etag"]
    assert not etag.startswith("W/")
    again = client.get(f"{JOBS}/{job_id}", headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    hands.take()
    changed = client.get(f"{JOBS}/{job_id}", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert changed.json()["state"] == "running"


def test_head_says_what_get_would_without_a_body(client: httpx2.Client) -> None:
    job_id = submitted(client)
    head, get = client.head(f"{JOBS}/{job_id}"), client.get(f"{JOBS}/{job_id}")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_waiting_ends_with_the_job(client: httpx2.Client, hands: Hands) -> None:
    job_id = submitted(client)
    lease = hands.take()
    timer = later(0.5, lambda: hands.finish(lease))
    began = time.monotonic()
    job = client.get(f"{JOBS}/{job_id}", params={"wait": 15}).json()
    assert job["state"] == "succeeded"
    assert 0.4 < time.monotonic() - began < 10
    timer.join()


def test_waiting_ends_with_the_time_while_the_job_goes_on(
    client: httpx2.Client, hands: Hands
) -> None:
    job_id = submitted(client)
    lease = hands.take()
    timer = later(0.3, lambda: hands.progress(lease, 0.5))
    began = time.monotonic()
    job = client.get(f"{JOBS}/{job_id}", params={"wait": "1"}).json()
    assert (job["state"], job["progress"]) == ("running", 0.5)
    assert time.monotonic() - began >= 1
    timer.join()


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "inf", "x", ""])
def test_a_wait_out_of_bounds_is_refused(client: httpx2.Client, wait: str) -> None:
    job_id = submitted(client)
    refused(client.get(f"{JOBS}/{job_id}", params={"wait": wait}), 422, "validation_failed")


def test_a_failed_job_is_data(client: httpx2.Client, hands: Hands) -> None:
    job_id = submitted(client)
    hands.fail(hands.take(), NotMedia("this is text", {"tail": "x"}))
    answer = client.get(f"{JOBS}/{job_id}")
    assert answer.status_code == 200
    assert answer.json()["error"] == {
        "code": "not_media", "message": "this is text", "retryable": False, "detail": {"tail": "x"},
    }  # fmt: skip


def test_a_list_is_newest_first_and_goes_on_behind_the_cursor(client: httpx2.Client) -> None:
    ids = [submitted(client, source={"url": f"{URL}/{number}"}) for number in range(5)]
    first = client.get(JOBS, params={"limit": 3}).json()
    assert [job["id"] for job in first["jobs"]] == ids[:1:-1]
    second = client.get(JOBS, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in second["jobs"]] == ids[1::-1]
    assert second["next_cursor"] is None


def test_a_list_is_narrowed_by_state_and_kind(client: httpx2.Client, hands: Hands) -> None:
    running = submitted(client)
    hands.take()
    clip = client.post(JOBS, json={**CLIP, "source": {"job_id": running}}).json()["id"]
    found = {
        name: [job["id"] for job in client.get(JOBS, params={name: value}).json()["jobs"]]
        for name, value in (("state", "running"), ("kind", "clip"))
    }
    assert found == {"state": [running], "kind": [clip]}


def test_a_queued_job_is_cancelled_at_once_and_only_once(client: httpx2.Client) -> None:
    job_id = submitted(client)
    answer = client.post(f"{JOBS}/{job_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    refused(client.post(f"{JOBS}/{job_id}/cancel"), 409, "job_already_final")


def test_only_a_failed_or_cancelled_job_is_retried(client: httpx2.Client) -> None:
    job_id = submitted(client)
    refused(client.post(f"{JOBS}/{job_id}/retry"), 409, "job_not_retryable")
    client.post(f"{JOBS}/{job_id}/cancel")
    answer = client.post(f"{JOBS}/{job_id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_only_a_final_job_is_deleted_and_its_file_with_it(
    client: httpx2.Client, hands: Hands, api: Api
) -> None:
    job_id = submitted(client)
    refused(client.delete(f"{JOBS}/{job_id}"), 409, "job_not_final")
    artifact = hands.finish(hands.take())
    assert api.storage.has(artifact.storage_key)
    answer = client.delete(f"{JOBS}/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not api.storage.has(artifact.storage_key)
    refused(client.get(f"{JOBS}/{job_id}"), 404, "not_found")
    refused(client.delete(f"{JOBS}/{job_id}"), 404, "not_found")


def test_the_events_of_a_job_tell_every_state_and_then_end(
    client: httpx2.Client, hands: Hands
) -> None:
    job_id = submitted(client)
    with following(client, f"{JOBS}/{job_id}/events") as events:
        assert next(events)["data"]["state"] == "queued"
        lease = hands.take()
        assert next(events)["data"]["state"] == "running"
        hands.finish(lease)
        last = next(events)
        assert (last["event"], last["data"]["state"]) == ("job", "succeeded")
        assert list(events) == []
    job = client.get(f"{JOBS}/{job_id}")
    assert last["data"] == job.json()
    assert f'"{last["id"]}"' == job.headers["etag"]


def test_who_comes_back_with_the_last_event_is_not_told_again(
    client: httpx2.Client, hands: Hands
) -> None:
    job_id = submitted(client)
    path = f"{JOBS}/{job_id}/events"
    with following(client, path) as events:
        seen = next(events)
    lease = hands.take()
    with following(client, path, headers={"Last-Event-ID": seen["id"]}) as events:
        seen = next(events)
        assert seen["data"]["state"] == "running"
        with (
            api_client_like(client) as other,
            following(other, path, headers={"Last-Event-ID": seen["id"]}) as later_events,
        ):
            hands.finish(lease)
            assert next(later_events)["data"]["state"] == "succeeded"
        last = next(events)
    again = client.get(path, headers={"Last-Event-ID": last["id"]})
    assert (again.status_code, again.content) == (204, b"")


def api_client_like(client: httpx2.Client) -> httpx2.Client:
    return httpx2.Client(base_url=client.base_url, timeout=20, **LOOPBACK)


def test_the_events_of_a_job_that_is_not_there_are_a_problem(client: httpx2.Client) -> None:
    refused(client.get(f"{JOBS}/{'0' * 26}/events"), 404, "not_found")


def test_a_silent_stream_says_that_it_is_alive(client: httpx2.Client) -> None:
    job_id = submitted(client)
    with following(client, f"{JOBS}/{job_id}/events") as events:
        next(events)
        began = time.monotonic()
        assert "comment" in next(events)
        assert time.monotonic() - began <= 15


def test_the_events_of_all_jobs_tell_what_changes_from_now_on(
    client: httpx2.Client, hands: Hands
) -> None:
    before = submitted(client, source={"url": f"{URL}/before"})
    with api_client_like(client) as other, following(other, "/api/v2/events") as events:
        lease = hands.take()
        first = next(events)["data"]
        assert (first["id"], first["state"]) == (before, "running")
        after = submitted(client, source={"url": f"{URL}/after"})
        hands.finish(lease)
        told = {
            (event["data"]["id"], event["data"]["state"]) for event in (next(events), next(events))
        }
        assert told == {(before, "succeeded"), (after, "queued")}


def test_who_comes_back_to_all_events_is_told_to_list_again(client: httpx2.Client) -> None:
    with following(client, "/api/v2/events", headers={"Last-Event-ID": "x.1"}) as events:
        assert next(events)["event"] == "resync"


def test_a_stream_whose_client_has_gone_gives_its_thread_back(
    client: httpx2.Client, api: Api, hands: Hands
) -> None:
    submitted(client)
    lease = hands.take()
    worker = api.processes()[1]
    before = len(worker.net_connections("tcp"))
    for _ in range(20):
        with following(client, f"{JOBS}/{lease.job.id}/events") as events:
            next(events)
    # Whoever has gone is noticed at the next write.
    for step in range(1, 4):
        lease = hands.progress(lease, step / 10)
        time.sleep(0.4)
    assert len(worker.net_connections("tcp")) <= before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "BREW"])
def test_a_method_that_a_path_has_not_is_named_with_those_it_has(
    client: httpx2.Client, method: str
) -> None:
    answer = client.request(method, JOBS)
    refused(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_options_tells_the_methods(client: httpx2.Client) -> None:
    answer = client.options(JOBS)
    assert answer.status_code == 200
    assert "POST" in answer.headers["allow"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v2/nope", "/api//v2/jobs", "/livez/", "/api/v2/jobs/", "/../etc/passwd"]
)
def test_an_unknown_path_is_a_problem(client: httpx2.Client, path: str) -> None:
    refused(client.get(path), 404, "not_found")
