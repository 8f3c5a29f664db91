"""Submitting jobs: what is refused leaves no trace, what is accepted is there."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest

from tasks.store.keys import COUNTERS
from tests.support.stack import Api

URL = "https://example.org/video"
CLIP = {"kind": "clip", "source": {"url": URL}, "start": 1, "end": 2}
JOBS = "/api/v2/jobs"
JSON = {"Content-Type": "application/json"}
MEBIBYTE = 1024**2


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, when it is what a problem document has to be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "errors"}
    assert (body["status"], body["code"]) == (status, code)
    for inside in ("Traceback", "/work", "/tmp", "site-packages", ".py"):
        assert inside not in answer.text
    return body


def pointers(answer: httpx2.Response) -> list[str]:
    return [fault["pointer"] for fault in answer.json()["errors"]]


def keys_in(api: Api) -> list[bytes]:
    """Every key but the numbers: that a request came is counted a little later."""
    return sorted(set(api.store.connection.redis.keys("*")) - {COUNTERS.encode()})


@pytest.fixture
def nothing_happens(api: Api) -> Iterator[None]:
    """No record, message or file comes into being."""
    before = keys_in(api)
    yield
    assert keys_in(api) == before


def test_a_job_is_accepted_recorded_and_found_at_its_location(client: httpx2.Client) -> None:
    answer = client.post(JOBS, json=CLIP)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    assert (job["kind"], job["state"], job["wait_reason"]) == ("clip", "queued", "dependency")
    assert job["spec"]["start"] == 1.0
    assert client.get(answer.headers["location"]).json() == job
    assert client.get(job["links"]["self"]).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b"\xff", b'{"kind": "clip"', b"[" * 100_000]
)
@pytest.mark.usefixtures("nothing_happens")
def test_a01_a_body_that_is_no_json_is_malformed(client: httpx2.Client, body: bytes) -> None:
    refused(client.post(JOBS, content=body, headers=JSON), 400, "malformed_json")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "", None])
@pytest.mark.usefixtures("nothing_happens")
def test_a02_another_content_type_is_unsupported(client: httpx2.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = client.post(JOBS, content=json.dumps(CLIP), headers=headers)
    refused(answer, 415, "unsupported_media_type")


@pytest.mark.usefixtures("nothing_happens")
def test_a03_an_unknown_field_is_named(client: httpx2.Client) -> None:
    answer = client.post(JOBS, json={**CLIP, "strat": 1})
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == ["/strat"]


@pytest.mark.usefixtures("nothing_happens")
def test_a03_a_misspelt_query_parameter_is_named(client: httpx2.Client) -> None:
    answer = client.get(JOBS, params={"stat": "failed"})
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == ["/stat"]


@pytest.mark.parametrize("path", [JOBS, "/api/v2/batches"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.usefixtures("nothing_happens")
def test_a04_a_huge_body_is_refused_early_and_never_held(
    api: Api, path: str, chunked: bool
) -> None:
    # Up to its limit a body of unknown length is held twice, while its parts are joined.
    longest = MEBIBYTE if path == JOBS else 8 * MEBIBYTE
    before = resident(api)
    status, sent = post_endlessly(api, path, 100 * MEBIBYTE, chunked)
    assert status == 413
    # What lies in the buffers of the two sockets has been sent without having been read.
    assert sent < longest + 12 * MEBIBYTE
    assert resident(api) - before < 2 * longest + 4 * MEBIBYTE


def resident(api: Api) -> int:
    return sum(process.memory_info().rss for process in api.processes())


def post_endlessly(api: Api, path: str, total: int, chunked: bool) -> tuple[int, int]:
    """Send a body by hand until the server answers; the status, and how much had been sent."""
    host, port = api.url.removeprefix("http://").split(":")
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {total}"
    lines = (f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", length)
    head = "\r\n".join(lines) + "\r\n\r\n"
    block = b" " * 65536
    framed = b"10000\r\n" + block + b"\r\n" if chunked else block
    sent = 0
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())
        try:
            while sent < total:
                connection.sendall(framed)
                sent += len(block)
        except OSError:
            pass  # it stopped reading, which is what is wanted
        answer = connection.recv(65536)
    return int(answer.split()[1]), sent


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":' + b"[" * 100_000,
        b'{"kind":' + b'{"a":' * 100_000,
        b"{" + b",".join(b'"k%d":1' % number for number in range(10**6)) + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(70_000)) + b"}",
        b'{"kind":"clip","start":' + b"9" * 100_000 + b"}",
        b'{"kind":"clip","start":1.' + b"9" * 100_000 + b"}",
        b'{"jobs":[' + b"1," * 300_000 + b"1]}",
    ],
    ids=[
        "array",
        "object",
        "million keys",
        "most keys",
        "long integer",
        "long fraction",
        "many jobs",
    ],
)
@pytest.mark.usefixtures("nothing_happens")
def test_a05_a_monstrous_document_is_refused_and_the_api_lives(
    client: httpx2.Client, body: bytes
) -> None:
    for path in (JOBS, "/api/v2/batches"):
        answer = client.post(path, content=body, headers=JSON)
        assert answer.status_code in {400, 413, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 100_000
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    "start", ["NaN", "Infinity", "-Infinity", "1e309", '"00:61:00"', "-1", "5"]
)
@pytest.mark.usefixtures("nothing_happens")
def test_a06_a_range_that_is_none_is_refused(client: httpx2.Client, start: str) -> None:
    body = f'{{"kind":"clip","source":{{"url":"{URL}"}},"start":{start},"end":5}}'
    answer = client.post(JOBS, content=body, headers=JSON)
    refused(answer, 422, "validation_failed")
    assert pointers(answer) in (["/start"], ["/end"])


@pytest.mark.parametrize("word", ['"; rm -rf', "-vf movie=/etc/passwd", "%(exec)s", "a\nb", "a\0b"])
@pytest.mark.parametrize("field", ["container", "quality"])
@pytest.mark.usefixtures("nothing_happens")
def test_a07_an_option_that_is_not_on_the_list_is_refused(
    client: httpx2.Client, field: str, word: str
) -> None:
    for body, pointer in (
        ({**CLIP, "output": {field: word}}, f"/output/{field}"),
        ({"kind": "download", "source": {"url": URL}, field: word}, f"/{field}"),
    ):
        answer = client.post(JOBS, json=body)
        refused(answer, 422, "validation_failed")
        assert pointer in pointers(answer)


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/x", "..\\x", "x" * 5000, "CON", "a\u202eb", "a\0b"]
)
@pytest.mark.usefixtures("nothing_happens")
def test_a08_an_output_name_that_could_do_harm_is_refused(client: httpx2.Client, name: str) -> None:
    answer = client.post(JOBS, json={**CLIP, "output": {"filename": name}})
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == ["/output/filename"]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://e.org/x", "concat:a|b", "-x", "data:,x"]
)
@pytest.mark.usefixtures("nothing_happens")
def test_l01_a_source_that_is_no_web_address_is_unsupported(
    client: httpx2.Client, url: str
) -> None:
    answer = client.post(JOBS, json={"kind": "download", "source": {"url": url}})
    refused(answer, 422, "unsupported_url")
    assert pointers(answer) == ["/source/url"]


@pytest.mark.usefixtures("nothing_happens")
def test_what_the_contract_has_and_is_not_built_is_never_accepted(client: httpx2.Client) -> None:
    concat = {**CLIP, "kind": "concat"}
    answer = client.post(JOBS, json=concat)
    refused(answer, 501, "not_implemented")
    assert pointers(answer) == ["/kind"]
    assert "not built yet" in answer.json()["detail"]
    batch = client.post("/api/v2/batches", json={"jobs": [CLIP, concat]})
    refused(batch, 501, "not_implemented")
    assert pointers(batch) == ["/jobs/1/kind"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "169.254.169.254"]
)
@pytest.mark.usefixtures("nothing_happens")
def test_l02_a_source_on_this_machine_is_blocked(client: httpx2.Client, host: str) -> None:
    answer = client.post(JOBS, json={"kind": "download", "source": {"url": f"http://{host}/"}})
    refused(answer, 422, "blocked_address")


@pytest.mark.parametrize("source", [{"job_id": "x"}, {"job_id": "../" * 20}])
@pytest.mark.usefixtures("nothing_happens")
def test_a_source_that_is_not_there_is_refused(
    client: httpx2.Client, source: dict[str, str]
) -> None:
    answer = client.post(JOBS, json={**CLIP, "source": source})
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == [f"/source/{name}" for name in source]


@pytest.mark.usefixtures("nothing_happens")
def test_one_bad_job_of_a_batch_keeps_all_others_out(client: httpx2.Client) -> None:
    jobs = [{"start": 0, "end": 15}, {"start": 50, "end": 65}, {"start": 9, "end": 3}]
    answer = client.post("/api/v2/batches", json={"defaults": CLIP, "jobs": jobs})
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == ["/jobs/2/end"]


@pytest.mark.usefixtures("nothing_happens")
def test_a_blocked_source_in_a_batch_names_its_job(client: httpx2.Client) -> None:
    jobs = [{}, {"source": {"url": "http://127.0.0.1/"}}]
    answer = client.post("/api/v2/batches", json={"defaults": CLIP, "jobs": jobs})
    refused(answer, 422, "blocked_address")
    assert pointers(answer) == ["/jobs/1/source/url"]


def test_a13_an_address_in_a_forwarded_header_opens_nothing(client: httpx2.Client) -> None:
    for header in ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP"):
        assert client.get("/livez", headers={header: "evil.example"}).status_code == 200
        answer = client.get("/api/v2/jobs", headers={header: "203.0.113.9"})
        refused(answer, 403, "forbidden")
        assert "clipmill keys new" in answer.json()["detail"]
    headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
    refused(client.get("/livez", headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"limit": "1000000000"}, "/limit"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "-1"}, "/limit"),
        ({"limit": "1_0"}, "/limit"),
        ({"limit": "\u0663"}, "/limit"),
        ({"limit": "9" * 5000}, "/limit"),
        ({"cursor": "forged"}, "/cursor"),
        ({"cursor": "x" * 10_000}, "/cursor"),
        ({"cursor": "\0"}, "/cursor"),
        ({"state": "*"}, "/state"),
        ({"state": "夏"}, "/state"),
        ({"kind": "CLIP"}, "/kind"),
        ({"external_id": "x" * 129}, "/external_id"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_happens")
def test_a15_a_list_that_asks_too_much_is_refused(
    client: httpx2.Client, params: dict[str, str], pointer: str
) -> None:
    answer = client.get(JOBS, params=params)
    refused(answer, 422, "validation_failed")
    assert pointers(answer) == [pointer]


def test_a15_a_filter_in_any_script_finds_what_bears_it(client: httpx2.Client) -> None:
    job = client.post(JOBS, json={**CLIP, "external_id": "夏 * [a-z]"}).json()
    client.post(JOBS, json={**CLIP, "external_id": "冬"})
    found = client.get(JOBS, params={"external_id": "夏 * [a-z]"}).json()
    assert [item["id"] for item in found["jobs"]] == [job["id"]]


@pytest.mark.parametrize(
    "name",
    [
        "..%2F", "%2E%2E%2F", "x" * 10_000, "*", "%2A", "0" * 26, "0" * 27, "%00", "a%0Ab", "[a-z]",
        "夏",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_happens")
def test_a16_an_id_that_names_nothing_is_not_found(client: httpx2.Client, name: str) -> None:
    for path in (JOBS, "/api/v2/batches", "/api/v2/artifacts"):
        refused(client.get(f"{path}/{name}"), 404, "not_found")
    refused(client.post(f"{JOBS}/{name}/cancel"), 404, "not_found")
    refused(client.delete(f"{JOBS}/{name}"), 404, "not_found")


def test_a16_an_id_of_another_type_is_not_found(client: httpx2.Client) -> None:
    job = client.post(JOBS, json=CLIP).json()
    refused(client.get(f"/api/v2/batches/{job['id']}"), 404, "not_found")
    refused(client.get(f"/api/v2/artifacts/{job['id']}"), 404, "not_found")


def test_slow_headers_do_not_keep_others_from_being_answered(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"POST /api/v2/jobs HTTP/1.1\r\nHost: localhost\r\n")
        with api.client() as client:
            began = time.monotonic()
            assert client.get("/livez").status_code == 200
            assert time.monotonic() - began < 5
    finally:
        for connection in slow:
            connection.close()


def test_nothing_is_left_open_after_all_that(api: Api) -> None:
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in api.processes())
