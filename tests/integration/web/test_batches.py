"""Batches: submitted, read and steered as one; fetched as one file."""

from __future__ import annotations

import io
import math
import time
import zipfile
from typing import Any

import httpx2
import pytest

from tasks.errors import NotMedia
from tasks.store.keys import ARTIFACTS
from tests.integration.web.test_jobs import later
from tests.integration.web.test_submission import JOBS, JSON, URL, refused
from tests.support.processes import eventually
from tests.support.stack import Api, Hands, following

BATCHES = "/api/v2/batches"


def submitted(client: httpx2.Client, count: int = 3) -> dict[str, Any]:
    jobs = [{"kind": "download", "source": {"url": f"{URL}/{number}"}} for number in range(count)]
    answer = client.post(BATCHES, json={"jobs": jobs})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{BATCHES}/{body['id']}"
    return body


def test_twelve_clips_of_one_video_wait_for_one_download(client: httpx2.Client) -> None:
    jobs = [{"start": 50 * number, "end": 50 * number + 15} for number in range(12)]
    defaults = {"kind": "clip", "source": {"url": URL}}
    batch = client.post(BATCHES, json={"defaults": defaults, "jobs": jobs}).json()
    assert (batch["state"], batch["counts"]["queued"]) == ("running", 12)
    assert [job["spec"]["start"] for job in batch["jobs"]] == [
        50.0 * number for number in range(12)
    ]
    assert len({job["depends_on"] for job in batch["jobs"]}) == 1
    assert client.get(JOBS, params={"batch_id": batch["id"]}).json()["jobs"] == batch["jobs"][::-1]


def test_t07_fat_defaults_are_not_multiplied_by_a_thousand(client: httpx2.Client) -> None:
    metadata = {f"name{number}": "😀" * 500 for number in range(16)}
    defaults = {"kind": "download", "source": {"url": URL}, "metadata": metadata}
    answer = client.post(BATCHES, json={"defaults": defaults, "jobs": [{}] * 1000})
    refused(answer, 422, "validation_failed")
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == "/defaults"
    assert "for 1000 jobs" in fault["detail"]


def test_a_large_batch_is_sent_in_parts_and_is_the_same(client: httpx2.Client, api: Api) -> None:
    metadata = {f"name{number}": "x" * 500 for number in range(8)}
    jobs = [{"source": {"url": f"{URL}/{number}"}} for number in range(350)]
    body = {"defaults": {"kind": "download", "metadata": metadata}, "jobs": jobs}
    batch = client.post(BATCHES, json=body).json()
    path = f"{BATCHES}/{batch['id']}"
    answer = client.get(path)
    assert answer.json() == batch
    assert answer.headers.get("transfer-encoding") == "chunked", answer.headers
    etag = answer.headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert client.head(path).headers["etag"] == etag
    client.post(f"{JOBS}/{batch['jobs'][7]['id']}/cancel")
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["counts"]["cancelled"] == 1
    assert client.get(f"{path}?jobs=none").json()["jobs"] == []


def test_a_batch_is_read_with_its_jobs_whole_brief_or_not_at_all(
    client: httpx2.Client, hands: Hands
) -> None:
    batch_id = submitted(client)["id"]
    hands.fail(hands.take(), NotMedia("no"))
    full = client.get(f"{BATCHES}/{batch_id}").json()
    brief = client.get(f"{BATCHES}/{batch_id}?jobs=brief").json()
    none = client.get(f"{BATCHES}/{batch_id}?jobs=none").json()
    assert [job["id"] for job in brief["jobs"]] == [job["id"] for job in full["jobs"]]
    assert set(brief["jobs"][0]) == {"id", "kind", "state", "progress", "wait_reason", "error"}
    assert [job["error"] for job in brief["jobs"]] == [{"code": "not_media"}, None, None]
    assert none["jobs"] == []
    for name in ("id", "state", "counts", "progress", "created_at", "finished_at", "links"):
        assert full[name] == brief[name] == none[name]
    refused(client.get(f"{BATCHES}/{batch_id}?jobs=all"), 422, "validation_failed")


def test_a_batch_that_has_not_changed_is_not_sent_again(
    client: httpx2.Client, hands: Hands
) -> None:
    path = f"{BATCHES}/{submitted(client)['id']}"
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(f"{path}?jobs=none", headers={"If-None-Match": etag}).status_code == 200
    hands.take()
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_waiting_ends_when_every_job_has(client: httpx2.Client, hands: Hands) -> None:
    batch_id = submitted(client, 2)["id"]
    first, second = hands.take(), hands.take()
    hands.finish(first)
    timer = later(0.5, lambda: hands.fail(second, NotMedia("no")))
    batch = client.get(f"{BATCHES}/{batch_id}", params={"wait": 15}).json()
    assert batch["state"] == "partial"
    assert batch["finished_at"]
    timer.join()


def test_a_batch_is_cancelled_whole(client: httpx2.Client) -> None:
    batch_id = submitted(client)["id"]
    answer = client.post(f"{BATCHES}/{batch_id}/cancel")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["counts"]["cancelled"]) == ("cancelled", 3)


def test_a_retry_runs_what_has_failed_again(client: httpx2.Client, hands: Hands) -> None:
    batch_id = submitted(client, 2)["id"]
    hands.finish(hands.take())
    hands.fail(hands.take(), NotMedia("no"))
    answer = client.post(f"{BATCHES}/{batch_id}/retry")
    assert answer.status_code == 202
    counts = answer.json()["counts"]
    assert (counts["succeeded"], counts["queued"], counts["failed"]) == (1, 1, 0)


def test_the_events_of_a_batch_end_with_its_last_job(client: httpx2.Client, hands: Hands) -> None:
    batch_id = submitted(client, 2)["id"]
    with following(client, f"{BATCHES}/{batch_id}/events?jobs=brief") as events:
        first = next(events)
        assert (first["event"], first["data"]["counts"]["queued"]) == ("batch", 2)
        hands.finish(hands.take())
        hands.finish(hands.take())
        *_, last = events
    assert last["data"]["state"] == "succeeded"
    assert [job["state"] for job in last["data"]["jobs"]] == ["succeeded"] * 2
    again = client.get(f"{BATCHES}/{batch_id}/events", headers={"Last-Event-ID": last["id"]})
    assert again.status_code == 204


def test_the_archive_holds_every_artifact_under_a_name_of_its_own(
    client: httpx2.Client, hands: Hands
) -> None:
    batch_id = submitted(client, 4)["id"]
    refused(client.get(f"{BATCHES}/{batch_id}/archive"), 404, "not_found")
    contents = [b"one" * 1000, b"two" * 2000, b""]
    names = ["../../evil.mp4", "Evil.mp4", ".._.._evil.mp4"]
    for content, name in zip(contents, names, strict=True):
        hands.finish(hands.take(), content, name)
    hands.fail(hands.take(), NotMedia("no"))
    answer = client.get(f"{BATCHES}/{batch_id}/archive")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{batch_id}.zip"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert [archive.read(item) for item in archive.infolist()] == contents
    assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
    found = archive.namelist()
    assert len({name.casefold() for name in found}) == 3
    assert not any("/" in name or "\\" in name or name.startswith(".") for name in found)
    assert client.head(f"{BATCHES}/{batch_id}/archive").headers["content-length"] == str(
        len(answer.content)
    )


@pytest.mark.alone  # a thousand records in the time that the store gets for a request
def test_a_thousand_jobs_are_accepted_and_read(client: httpx2.Client) -> None:
    jobs = [{"kind": "extract", "source": {"url": f"{URL}/{number}"}} for number in range(1000)]
    batch = client.post(BATCHES, json={"jobs": jobs}).json()
    assert len(batch["jobs"]) == 1000
    began = time.monotonic()
    assert len(client.get(f"{BATCHES}/{batch['id']}?jobs=brief").json()["jobs"]) == 1000
    assert time.monotonic() - began < 20
    refused(client.post(BATCHES, json={"jobs": [*jobs, jobs[0]]}), 422, "validation_failed")


@pytest.mark.parametrize("call", ["", "/archive", "/events"])
def test_a_batch_that_is_not_there_is_a_problem(client: httpx2.Client, call: str) -> None:
    refused(client.get(f"{BATCHES}/{'0' * 26}{call}"), 404, "not_found")


def archived(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return {name: archive.read(name) for name in archive.namelist()}


def test_an_archive_names_the_files_that_are_no_longer_kept(
    client: httpx2.Client, hands: Hands, api: Api
) -> None:
    batch_id = submitted(client, 3)["id"]
    files = [hands.finish(hands.take(), bytes([n]), f"{n}.mp4") for n in (1, 2, 3)]
    assert api.store.artifacts.expire(files[0].id, math.inf) is not None
    api.storage.delete(files[2].storage_key)
    found = archived(client.get(f"{BATCHES}/{batch_id}/archive").content)
    assert (found["2.mp4"], sorted(found)) == (b"\2", ["2.mp4", "MISSING.txt"])
    note = found["MISSING.txt"].decode()
    assert all(f"{file.filename} (job {file.job_id})" in note for file in (files[0], files[2]))
    assert "2.mp4" not in note


def test_an_archive_of_which_nothing_is_kept_is_gone(
    client: httpx2.Client, hands: Hands, api: Api
) -> None:
    batch_id = submitted(client, 2)["id"]
    for name in ("a.mp4", "b.mp4"):
        api.storage.delete(hands.finish(hands.take(), b"x", name).storage_key)
    answer = client.get(f"{BATCHES}/{batch_id}/archive")
    refused(answer, 410, "artifact_expired")
    assert "a.mp4" in answer.json()["detail"]
    assert "b.mp4" in answer.json()["detail"]


def test_an_archive_counts_as_use_of_all_that_is_in_it(
    client: httpx2.Client, hands: Hands, api: Api
) -> None:
    batch_id = submitted(client, 15)["id"]
    files = [hands.finish(hands.take(), bytes(9 * 1024**2)) for _ in range(15)]
    before = float(api.store.connection.redis.time()[0])
    aged = {file.id: 1.0 for file in files}
    api.store.connection.redis.zadd(ARTIFACTS, aged)
    size = 0
    with client.stream("GET", f"{BATCHES}/{batch_id}/archive") as answer:
        blocks = answer.iter_raw(65536)
        size += len(next(blocks))
        assert api.store.artifacts.by_use(before - 1) == []
        # Again when the turn of each comes: what is still to be sent counts each time.
        api.store.connection.redis.zadd(ARTIFACTS, aged)
        # The first ones are open; one who gives them up all the same does not tear the archive.
        for file in files[1:12]:
            api.storage.delete(file.storage_key)
        size += sum(len(block) for block in blocks)
    assert size == int(answer.headers["content-length"])
    assert files[-1].id not in api.store.artifacts.by_use(before - 1)


def test_an_archive_that_lost_a_file_on_the_way_breaks_off(
    client: httpx2.Client, hands: Hands, api: Api
) -> None:
    batch_id = submitted(client, 15)["id"]
    files = [hands.finish(hands.take(), bytes(9 * 1024**2)) for _ in range(15)]
    told = len(api.log())
    with client.stream("GET", f"{BATCHES}/{batch_id}/archive") as answer:
        blocks = answer.iter_raw(65536)
        next(blocks)
        api.storage.delete(files[-1].storage_key)
        with pytest.raises(httpx2.RemoteProtocolError):
            list(blocks)
    assert eventually(lambda: "an archive ends early" in api.log(), 5)
    assert "Traceback" not in api.log()[told:]


def test_a_batch_of_another_version_than_wanted_is_a_problem(client: httpx2.Client) -> None:
    path = f"{BATCHES}/{submitted(client, 1)['id']}"
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-Match": etag}).status_code == 200
    refused(client.get(path, headers={"If-Match": '"other"'}), 412, "precondition_failed")


@pytest.mark.alone  # as many, each of them long
def test_a_thousand_jobs_with_long_urls_and_all_fields_are_one_batch(client: httpx2.Client) -> None:
    jobs = [
        {
            "kind": "extract",
            "source": {"url": f"{URL}/{number}?{'[,{' * 1350}"},
            "external_id": "e" * 128,
            "metadata": {f"key-{n}": "value" * 20 for n in range(16)},
        }
        for number in range(1000)
    ]
    answer = client.post(BATCHES, json={"jobs": jobs}, timeout=60)
    assert answer.status_code == 202, answer.text[:500]
    assert answer.json()["jobs"][999]["spec"]["source"]["url"] == jobs[999]["source"]["url"]


MONSTERS = {
    "nested": b"[" * 8_000_000,
    "objects": b'{"jobs":[' + b"{}," * 2_700_000 + b"{}]}",
    "numbers": b'{"jobs":[' + b"1e9," * 2_000_000 + b"1]}",
    "texts": b'{"jobs":[' + b'"ab",' * 1_600_000 + b'"ab"]}',
    "keys": b"{" + b",".join(b'"%07d":1' % number for number in range(600_000)) + b"}",
    "long integers": b'{"jobs":[' + b",".join([b"9" * 100_000] * 80) + b"]}",
    "an open text": b'{"jobs":["' + b'[,\\"' * 2_000_000,
    "long defaults": b'{"defaults":{"metadata":{"a":"' + b"x" * 8_000_000 + b'"}},"jobs":['
    + b"{}," * 999 + b"{}]}",
}  # fmt: skip


@pytest.mark.parametrize("name", MONSTERS)
def test_a05_a_monstrous_batch_is_refused_soon_and_for_little_memory(
    client: httpx2.Client, api: Api, name: str
) -> None:
    worker = api.processes()[1]
    before = worker.memory_info().rss
    took = []
    while not took or (min(took) > 1 and len(took) < 3):  # machines are busy
        began = time.monotonic()
        answer = client.post(BATCHES, content=MONSTERS[name], headers=JSON)
        took.append(time.monotonic() - began)
        assert answer.status_code in {400, 422}, answer.text[:500]
        assert answer.headers["content-type"] == "application/problem+json"
    assert min(took) < 1
    assert worker.memory_info().rss - before < 60 * 1024**2


def test_one_job_may_not_be_as_long_as_a_batch(client: httpx2.Client) -> None:
    body = b" " * 2 * 1024**2 + b"{}"
    too_long = client.post(JOBS, content=body, headers=JSON)
    refused(too_long, 413, "body_too_large")
    assert too_long.headers["connection"] == "close"  # nobody has read all of its body
    refused(client.post(BATCHES, content=body, headers=JSON), 422, "validation_failed")
    refused(client.post(BATCHES, content=body * 5, headers=JSON), 413, "body_too_large")


def test_batches_are_listed_newest_first_without_jobs(client: httpx2.Client, hands: Hands) -> None:
    body = {"jobs": [{"kind": "download", "source": {"url": "https://media.example/v"}}]}
    made = [client.post("/api/v2/batches", json=body).json()["id"] for _ in range(5)]
    first = client.get("/api/v2/batches", params={"limit": 2}).json()
    assert [it["id"] for it in first["batches"]] == made[:2:-1]
    assert "jobs" not in first["batches"][0]
    assert first["batches"][0]["links"]["self"].endswith(made[-1])
    rest = client.get("/api/v2/batches", params={"cursor": first["next_cursor"]}).json()
    assert [it["id"] for it in rest["batches"]] == made[2::-1]
    assert rest["next_cursor"] is None
    assert client.post(f"/api/v2/batches/{made[1]}/cancel").status_code == 202
    for state, expected in (("cancelled", [made[1]]), ("failed", []), (None, made[::-1])):
        params = {"state": state} if state else {}
        listed = client.get("/api/v2/batches", params=params).json()["batches"]
        assert [it["id"] for it in listed] == expected
    cancelled = client.get(f"/api/v2/batches/{made[1]}").json()["jobs"][0]["id"]
    assert client.delete(f"/api/v2/jobs/{cancelled}").status_code == 204
    listed = client.get("/api/v2/batches").json()["batches"]
    assert made[1] not in [it["id"] for it in listed]
    for wrong in ({"limit": "0"}, {"cursor": "x"}, {"state": "done"}, {"kind": "clip"}):
        assert client.get("/api/v2/batches", params=wrong).status_code == 422
