"""Pages of other origins: none as it comes, those of the setting where it is set."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from config.api import API_BASE
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

JOBS = f"{API_BASE}/jobs"
PAGE = "https://app.example.org"
EXTRACT = {"kind": "extract", "source": {"url": "https://media.example/v"}}


def ask(client: httpx2.Client, origin: str, path: str = JOBS) -> httpx2.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return client.options(path, headers=headers)


def allowed(answer: httpx2.Response) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_as_it_comes_no_page_of_another_origin_may_see_anything(client: httpx2.Client) -> None:
    assert allowed(ask(client, PAGE)) is None
    assert allowed(client.get(JOBS, headers={"Origin": PAGE})) is None
    assert client.post(JOBS, json=EXTRACT, headers={"Origin": PAGE}).status_code == 403


def test_a_named_origin_may_ask_and_see_every_answer(tmp_path: Path, valkey: ValkeyServer) -> None:
    settings = {"cors_origins": f"{PAGE}/, http://localhost:3000"}
    with Api(tmp_path, valkey.url, **settings) as api, api.client() as client:
        preflight = ask(client, PAGE)
        assert (preflight.status_code, allowed(preflight)) == (204, PAGE)
        for name in ("X-API-Key", "Idempotency-Key", "Upload-Offset", "Last-Event-ID"):
            assert name in preflight.headers["Access-Control-Allow-Headers"]
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
        job = client.post(JOBS, json=EXTRACT, headers={"Origin": PAGE})
        assert (job.status_code, allowed(job)) == (202, PAGE)
        assert "Location" in job.headers["Access-Control-Expose-Headers"]
        # Answered by the event loop, by Flask, with an error, and without a route.
        for path in (job.headers["Location"], JOBS, f"{JOBS}?limit=0", "/nothing"):
            answer = client.get(path, headers={"Origin": PAGE})
            assert allowed(answer) == PAGE
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
        for other in ("https://app.example.org.evil.example", "http://app.example.org", "null"):
            assert allowed(ask(client, other)) is None
            answer = client.get(JOBS, headers={"Origin": other})
            assert allowed(answer) is None
            assert answer.headers["Vary"] == "Origin"
            post = client.post(JOBS, json=EXTRACT, headers={"Origin": other})
            assert post.status_code == 403


def test_every_origin_may_ask_where_the_setting_says_so(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with Api(tmp_path, valkey.url, cors_origins="*") as api, api.client() as client:
        assert allowed(ask(client, "https://anyone.example")) == "*"
        assert allowed(client.get(JOBS, headers={"Origin": "https://anyone.example"})) == "*"
        # Without keys a page could use the API as its visitor: it may read nothing it changes.
        post = client.post(JOBS, json=EXTRACT, headers={"Origin": "https://anyone.example"})
        assert post.status_code == 403


@pytest.mark.parametrize("path", [f"{API_BASE}/uploads/resumable", JOBS])
def test_options_that_no_browser_asks_are_answered_as_always(
    tmp_path: Path, valkey: ValkeyServer, path: str
) -> None:
    with Api(tmp_path, valkey.url, cors_origins=PAGE) as api, api.client() as client:
        plain = client.options(path)
        assert plain.status_code in {200, 204}
        assert "Access-Control-Allow-Methods" not in plain.headers
