"""Links that work without a key: for one path, for a time, and as long as their key."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from clipmill.local.keys import make_key, revoke_key
from config.api import API_BASE
from tests.support.stack import Api, Hands
from tests.support.valkey import ValkeyServer

JOBS = f"{API_BASE}/jobs"
DOWNLOAD = {"kind": "download", "source": {"url": "https://media.example/v"}}
ARTIFACTS = f"{API_BASE}/artifacts"


@pytest.fixture
def keyed(tmp_path: Path, valkey: ValkeyServer) -> Iterator[Api]:
    (tmp_path / "keys").touch()
    with Api(tmp_path, valkey.url, api_keys_file=str(tmp_path / "keys")) as api:
        yield api


def client_of(api: Api, name: str, *scopes: str) -> httpx2.Client:
    key = make_key(api.folder / "keys", name, scopes or ("read", "submit"))
    return api.client(headers={"X-API-Key": key})


def made(client: httpx2.Client, api: Api) -> str:
    """A finished artifact of this client."""
    assert client.post(JOBS, json=DOWNLOAD).status_code == 202
    hands = Hands(api)
    return hands.finish(hands.take(), b"0123456789").id


def link(client: httpx2.Client, path: str, **body: object) -> str:
    answer = client.post(f"{path}/links", json=body)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"url", "expires_at"}
    return str(answer.json()["url"])


def test_a_link_gives_the_file_without_a_key_and_nothing_else(keyed: Api) -> None:
    with client_of(keyed, "ann") as ann, keyed.client() as stranger:
        first, second = made(ann, keyed), "0" * 26
        path = f"{ARTIFACTS}/{first}"
        assert stranger.get(path).status_code == 401
        url = link(ann, path)
        assert stranger.get(url).content == b"0123456789"
        ranged = stranger.get(url + "&download=1", headers={"Range": "bytes=2-4"})
        assert (ranged.status_code, ranged.content) == (206, b"234")
        assert ranged.headers["Content-Disposition"].startswith("attachment")
        assert stranger.head(url).status_code == 200
        signature = url.partition("?")[2]
        for elsewhere in (f"{ARTIFACTS}/{second}", JOBS, f"{path}/links", "/metrics"):
            assert stranger.get(f"{elsewhere}?{signature}").status_code == 401
        assert stranger.post(f"{path}/links?{signature}", json={}).status_code == 401
        assert stranger.delete(f"{JOBS}/{first}?{signature}").status_code == 401
        assert stranger.get(f"{url}&{signature}").status_code == 401


def test_a_changed_link_opens_nothing(keyed: Api) -> None:
    with client_of(keyed, "ann") as ann, keyed.client() as stranger:
        url = link(ann, f"{ARTIFACTS}/{made(ann, keyed)}")
        head, _, signature = url.rpartition(".")
        path, _, payload = head.partition("link=")
        for wrong in (
            head, f"{head}.", f"{head}.{signature[:-2]}AA", f"{path}link=.{signature}",
            f"{path}link={payload[:-4]}AAAA.{signature}", f"{path}link=%00.%00",
            f"{path}link=W10.{signature}", f"{path}link=bnVsbA.{signature}", f"{path}link=",
            f"{path}link={'A' * 3000}.{signature}", f"{path}link=ä.ä",
        ):  # fmt: skip
            assert stranger.get(wrong).status_code == 401, wrong


def test_a_link_is_over_in_time_and_with_its_key(keyed: Api) -> None:
    with client_of(keyed, "ann") as ann, keyed.client() as stranger:
        path = f"{ARTIFACTS}/{made(ann, keyed)}"
        short, long = link(ann, path, expires_in=1), link(ann, path, expires_in=604_800)
        assert stranger.get(short).status_code == 200
        time.sleep(1.05)
        assert stranger.get(short).status_code == 401
        assert stranger.get(long).status_code == 200
        revoke_key(keyed.folder / "keys", "ann")
        assert stranger.get(long).status_code == 401


@pytest.mark.parametrize(
    "body", [{"expires_in": 0}, {"expires_in": 604_801}, {"expires_in": "1h"}, {"x": 1}]
)
def test_what_no_link_may_be_is_refused(keyed: Api, body: dict[str, object]) -> None:
    with client_of(keyed, "ann") as ann:
        path = f"{ARTIFACTS}/{made(ann, keyed)}"
        assert ann.post(f"{path}/links", json=body).status_code == 422
        assert ann.post(f"{API_BASE}/events/links", json=body).status_code == 422


def test_nobody_links_to_what_is_not_theirs(keyed: Api) -> None:
    with client_of(keyed, "ann") as ann, client_of(keyed, "bob") as bob:
        artifact, job = made(ann, keyed), ann.get(JOBS).json()["jobs"][0]["id"]
        assert bob.post(f"{ARTIFACTS}/{artifact}/links", json={}).status_code == 404
        for body in ({"job_id": job}, {"batch_id": job}, {"job_id": "x"}):
            assert bob.post(f"{API_BASE}/events/links", json=body).status_code == 404
        both = {"job_id": job, "batch_id": job}
        assert ann.post(f"{API_BASE}/events/links", json=both).status_code == 422
        with client_of(keyed, "eve", "read") as eve:
            assert eve.post(f"{API_BASE}/events/links", json={}).status_code == 403


def test_an_event_stream_is_opened_by_its_link_alone(keyed: Api) -> None:
    with client_of(keyed, "ann") as ann, client_of(keyed, "bob") as bob:
        job = ann.post(JOBS, json=DOWNLOAD).json()["id"]
        of_job = link(ann, f"{API_BASE}/events", job_id=job)
        of_all = link(ann, f"{API_BASE}/events")
        assert of_job.startswith(f"{JOBS}/{job}/events?link=")
        seen: dict[str, str] = {}

        def follow(name: str, url: str) -> None:
            with keyed.client() as stranger, stranger.stream("GET", url) as answer:
                assert answer.status_code == 200
                text = ""
                for part in answer.iter_text():
                    text += part
                    if '"cancelled"' in text:
                        break
                seen[name] = text

        threads = [
            threading.Thread(target=follow, args=it) for it in (("job", of_job), ("all", of_all))
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        foreign = bob.post(JOBS, json=DOWNLOAD).json()["id"]
        assert ann.post(f"{JOBS}/{job}/cancel").status_code == 202
        for thread in threads:
            thread.join(10)
        assert job in seen["job"]
        assert job in seen["all"]
        assert foreign not in seen["all"]


def test_without_keys_a_link_works_too(tmp_path: Path, valkey: ValkeyServer) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        url = link(client, f"{ARTIFACTS}/{made(client, api)}")
        # As through a proxy, where without keys nobody else is answered.
        forwarded = {"X-Forwarded-For": "192.0.2.1"}
        assert client.get(JOBS, headers=forwarded).status_code == 403
        assert client.get(url, headers=forwarded).content == b"0123456789"
