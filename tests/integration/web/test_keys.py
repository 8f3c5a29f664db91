"""Keys with limits: counted over all API processes, over in time, bound to networks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clipmill.local.keys import change_key, make_key, revoke_key, rotate_key
from config.api import API_BASE
from config.api_keys import KeyLimits
from tests.support.records import Records
from tests.support.stack import Api, Hands
from tests.support.valkey import ValkeyServer

JOBS = f"{API_BASE}/jobs"
EXTRACT = {"kind": "extract", "source": {"url": "https://media.example/v"}}
BOTH = ("read", "submit")


@contextmanager
def apis(
    tmp_path: Path, valkey: ValkeyServer, count: int = 1, **settings: str
) -> Iterator[list[Api]]:
    """API processes with one file of keys."""
    with ExitStack() as opened:
        found = []
        for number in range(count):
            folder = tmp_path / str(number)
            folder.mkdir()
            api = Api(folder, valkey.url, api_keys_file=str(tmp_path / "keys"), **settings)
            found.append(opened.enter_context(api))
        yield found


def get(api: Api, key: str, path: str = JOBS, **headers: str) -> httpx2.Response:
    return httpx2.get(api.url + path, headers={"X-API-Key": key, **headers}, trust_env=False)


def test_a12_the_limit_of_a_minute_is_exact_over_two_processes(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    limits = KeyLimits(requests_per_minute=200)
    key = make_key(tmp_path / "keys", "ann", BOTH, limits=limits)
    free = make_key(tmp_path / "keys", "bob", BOTH)
    seen: Counter[int] = Counter()
    lock = threading.Lock()

    with apis(tmp_path, valkey, 2) as both:
        job = httpx2.post(
            both[0].url + JOBS, json=EXTRACT, headers={"X-API-Key": key}, trust_env=False
        ).json()
        path = f"{JOBS}/{job['id']}"

        def ask(api: Api, path: str) -> None:
            with api.client(headers={"X-API-Key": key}) as client:
                for _ in range(80):
                    status = client.get(path).status_code
                    with lock:
                        seen[status] += 1

        # Polls, which the event loop answers, and lists, which Flask answers, count together.
        threads = [
            threading.Thread(target=ask, args=(api, asked))
            for api in both
            for asked in (path, JOBS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == {200: 199, 429: 121}
        refused = get(both[0], key, path)
        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert get(both[1], free, JOBS).status_code == 200


@pytest.mark.parametrize("path", ["poll", "list", "nothing"])
def test_every_answer_says_where_the_key_stands(
    tmp_path: Path, valkey: ValkeyServer, path: str
) -> None:
    limits = KeyLimits(requests_per_second=50, requests_per_minute=5)
    key = make_key(tmp_path / "keys", "ann", BOTH, limits=limits)
    with apis(tmp_path, valkey) as (api,):
        made = httpx2.post(
            api.url + JOBS, json=EXTRACT, headers={"X-API-Key": key}, trust_env=False
        )
        assert made.headers["RateLimit-Remaining"] == "4"
        paths = {"poll": f"{JOBS}/{made.json()['id']}", "list": JOBS, "nothing": f"{JOBS}/x"}
        answer = get(api, key, paths[path])
        assert answer.headers["RateLimit-Policy"] == '"second";q=50;w=1, "minute";q=5;w=60'
        assert answer.headers["RateLimit"].startswith('"minute";r=3;t=')
        for prefix in ("", "X-"):
            assert answer.headers[f"{prefix}RateLimit-Limit"] == "5"
            assert answer.headers[f"{prefix}RateLimit-Remaining"] == "3"
            assert 1 <= int(answer.headers[f"{prefix}RateLimit-Reset"]) <= 60


def test_a_window_of_a_second_moves(tmp_path: Path, valkey: ValkeyServer) -> None:
    key = make_key(tmp_path / "keys", "ann", BOTH, limits=KeyLimits(requests_per_second=10))
    with apis(tmp_path, valkey) as (api,), api.client(headers={"X-API-Key": key}) as client:
        allowed: list[float] = []
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            if client.get(JOBS).status_code == 200:
                allowed.append(time.monotonic())
        # The store counts when it is asked, and we when the answer is here.
        most = max(sum(start <= at < start + 0.9 for at in allowed) for start in allowed)
        assert most <= 10
        assert 30 <= len(allowed) <= 40


def test_without_limits_of_its_own_a_key_reads_freely_and_changes_at_the_usual_rate(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    key = make_key(tmp_path / "keys", "ann", BOTH)
    with (
        apis(tmp_path, valkey, rate_limit="5") as (api,),
        api.client(headers={"X-API-Key": key}) as client,
    ):
        posts = [client.post(JOBS, json=EXTRACT) for _ in range(8)]
        assert [it.status_code for it in posts].count(429) >= 1
        reads = [client.get(JOBS) for _ in range(20)]
        assert {it.status_code for it in reads} == {200}
        assert "RateLimit-Limit" not in reads[0].headers


def test_a_key_is_over_when_its_time_is(tmp_path: Path, valkey: ValkeyServer) -> None:
    key = make_key(tmp_path / "keys", "ann", BOTH, expires_at=time.time() + 3)
    with apis(tmp_path, valkey) as (api,):
        assert get(api, key).status_code == 200
        time.sleep(3)
        refused = get(api, key)
        assert refused.status_code == 401
        assert "expired" in refused.json()["detail"]


def test_a_rotated_key_counts_beside_the_old_one_only_for_the_overlap(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    file = tmp_path / "keys"
    old = make_key(file, "ann", BOTH)
    with apis(tmp_path, valkey) as (api,):
        new = rotate_key(file, "ann", 2.0)
        assert [get(api, key).status_code for key in (old, new)] == [200, 200]
        time.sleep(2.1)
        assert [get(api, key).status_code for key in (old, new)] == [401, 200]
        newest = rotate_key(file, "ann")
        assert [get(api, key).status_code for key in (new, newest)] == [401, 200]
        revoke_key(file, "ann")
        assert get(api, newest).status_code == 401


def test_a_key_is_bound_to_its_networks_and_a_header_changes_nothing(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    file = tmp_path / "keys"
    away = make_key(file, "away", BOTH, networks=(ip_network("10.0.0.0/8"),))
    here = make_key(file, "here", BOTH, networks=(ip_network("127.0.0.0/8"),))
    with apis(tmp_path, valkey) as (api,):
        assert get(api, here).status_code == 200
        assert get(api, away).status_code == 403
        assert get(api, away, **{"X-Forwarded-For": "10.1.2.3"}).status_code == 403


def test_behind_a_trusted_proxy_the_client_counts(tmp_path: Path, valkey: ValkeyServer) -> None:
    key = make_key(tmp_path / "keys", "away", BOTH, networks=(ip_network("10.0.0.0/8"),))
    settings = {"trusted_proxies": "127.0.0.1/32", "blocked_clients": "10.9.0.0/16"}
    with apis(tmp_path, valkey, **settings) as (api,):
        assert get(api, key).status_code == 403
        assert get(api, key, **{"X-Forwarded-For": "10.1.2.3"}).status_code == 200
        assert get(api, key, **{"X-Forwarded-For": "10.1.2.3, 192.0.2.1"}).status_code == 403
        blocked = get(api, key, **{"X-Forwarded-For": "10.9.2.3"})
        assert "network" in blocked.json()["detail"]


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"blocked_clients": "127.0.0.0/8"}, 403), ({"allowed_clients": "10.0.0.0/8"}, 403),
        ({"allowed_clients": "127.0.0.0/8"}, 200),
        ({"allowed_clients": "127.0.0.0/8", "blocked_clients": "127.0.0.1/32"}, 403),
    ],
)  # fmt: skip
def test_a_network_that_is_not_served_gets_probes_alone(
    tmp_path: Path, valkey: ValkeyServer, settings: dict[str, Any], status: int
) -> None:
    key = make_key(tmp_path / "keys", "ann", BOTH)
    with apis(tmp_path, valkey, **settings) as (api,):
        assert get(api, key).status_code == status
        assert get(api, key, "/docs").status_code == status
        assert get(api, key, "/livez").status_code == 200


def test_the_first_key_closes_an_open_api_without_a_restart(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with Api(tmp_path, valkey.url) as api:
        assert get(api, "").status_code == 200
        file = tmp_path / "data" / "api-keys"
        key = make_key(file, "ann", BOTH)
        assert get(api, "").status_code == 401
        assert get(api, key).status_code == 200
        end = time.monotonic() + 10
        while "a key was made" not in api.log():
            assert time.monotonic() < end
            time.sleep(0.1)
        change_key(file, "ann", scopes=("submit",))
        assert get(api, key).status_code == 403
        file.unlink()
        assert get(api, "").status_code == 401  # as with keys that are all revoked


def test_a14_a_key_queues_no_more_jobs_than_it_may(tmp_path: Path, valkey: ValkeyServer) -> None:
    limited = make_key(tmp_path / "keys", "ann", BOTH, limits=KeyLimits(queued_jobs=3))
    free = make_key(tmp_path / "keys", "bob", BOTH)
    with apis(tmp_path, valkey) as (api,):
        with api.client(headers={"X-API-Key": limited}) as client:
            statuses = [client.post(JOBS, json=EXTRACT).status_code for _ in range(4)]
            assert statuses == [202, 202, 202, 503]
            assert client.post(f"{API_BASE}/batches", json={"jobs": [EXTRACT]}).status_code == 503
        with api.client(headers={"X-API-Key": free}) as client:
            assert client.post(JOBS, json=EXTRACT).status_code == 202


def test_a_key_uses_no_more_a_day_than_it_may(tmp_path: Path, valkey: ValkeyServer) -> None:
    limits = KeyLimits(bytes_per_day=1000, media_seconds_per_day=30)
    key = make_key(tmp_path / "keys", "ann", BOTH, limits=limits)
    clip = {"kind": "clip", "source": {"url": "https://media.example/v"}, "start": 0}
    with apis(tmp_path, valkey) as (api,), api.client(headers={"X-API-Key": key}) as client:
        assert client.post(JOBS, json={**clip, "end": 30}).status_code == 202
        refused = client.post(JOBS, json={**clip, "end": 31})
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
        file = {"file": ("film.mp4", b"x" * 1001)}
        too_large = client.post(f"{API_BASE}/uploads", files=file)
        assert too_large.json()["code"] == "quota_exceeded"
        assert not list((api.folder / "data").glob("uploads/*"))
        piece = {"Tus-Resumable": "1.0.0", "Upload-Length": "1001"}
        refused = client.post(f"{API_BASE}/uploads/resumable", headers=piece)
        assert refused.json()["code"] == "quota_exceeded"


def test_what_jobs_have_used_is_counted_with_their_success(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    limits = KeyLimits(bytes_per_day=10)
    key = make_key(tmp_path / "keys", "ann", BOTH, limits=limits)
    download = {"kind": "download", "source": {"url": "https://media.example/v"}}
    with apis(tmp_path, valkey) as (api,), api.client(headers={"X-API-Key": key}) as client:
        assert client.post(JOBS, json=download).status_code == 202
        hands = Hands(api)
        hands.finish(hands.take(), b"x" * 11)
        own = client.get(f"{API_BASE}/keys/self").json()
        assert own["used_today"] == {"bytes": 11, "media_seconds": 0}
        assert own["limits"] == {"bytes_per_day": 10}
        other = {**download, "source": {"url": "https://media.example/w"}}
        assert client.post(JOBS, json=other).json()["code"] == "quota_exceeded"


def test_keys_are_listed_for_an_admin_with_their_last_use(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    file = tmp_path / "keys"
    key, boss = make_key(file, "ann", BOTH), make_key(file, "boss", ("admin",))
    with apis(tmp_path, valkey) as (api,):
        assert get(api, key, f"{API_BASE}/keys").status_code == 403
        assert get(api, boss, f"{API_BASE}/keys").status_code == 200
        end = time.monotonic() + 15
        while True:
            listed = get(api, boss, f"{API_BASE}/keys").json()["keys"]
            assert [it["name"] for it in listed] == ["ann", "boss"]
            if all(it["last_used_at"] for it in listed):
                break
            assert time.monotonic() < end
            time.sleep(0.2)
        text = get(api, boss, f"{API_BASE}/keys").text
        assert key not in text
        assert "sha256" not in text


def test_what_was_made_without_a_key_is_given_to_one(tmp_path: Path, valkey: ValkeyServer) -> None:
    download = {"kind": "download", "source": {"url": "https://media.example/v"}}
    clip = {"kind": "clip", "source": {"url": "https://media.example/v"}, "start": 0, "end": 1}
    with Api(tmp_path, valkey.url) as api:
        hands = Hands(api)
        with api.client() as client:
            done = client.post(JOBS, json=download).json()["id"]
            artifact = hands.finish(hands.take(), b"mine")
            batch = client.post(f"{API_BASE}/batches", json={"jobs": [EXTRACT, clip]}).json()["id"]
            runs = client.post(JOBS, json={**download, "source": {"url": "https://e.org/w"}}).json()
            held = hands.take()
            assert held.job.id == runs["id"]
        file = tmp_path / "data" / "api-keys"
        ann, boss = make_key(file, "ann", BOTH), make_key(file, "boss", ("admin",))
        adopt = f"{API_BASE}/keys/ann/adopt"
        with api.client(headers={"X-API-Key": ann}) as client:
            assert client.get(f"{JOBS}/{done}").status_code == 404
            assert client.post(adopt).status_code == 403
            with api.client(headers={"X-API-Key": boss}) as admin:
                assert admin.post(f"{API_BASE}/keys/nobody/adopt").status_code == 404
                assert admin.post(adopt).json() == {"adopted": 3, "left": 1}
            assert client.get(f"{JOBS}/{done}").json()["state"] == "succeeded"
            assert client.get(f"{API_BASE}/artifacts/{artifact.id}").content == b"mine"
            assert client.get(f"{API_BASE}/batches/{batch}").json()["counts"]["queued"] == 2
            with valkey.client() as store:
                Records(store).check(api.store)
            # The same download is there already, for the key as it was for everyone.
            again = client.post(JOBS, json=download).json()
            assert (again["state"], again["depends_on"]) == ("queued", done)
            assert api.store.leases.take("extract").job.owner == "ann"
            hands.finish(held)
            with api.client(headers={"X-API-Key": boss}) as admin:
                assert admin.post(adopt).json() == {"adopted": 1, "left": 0}
                assert admin.delete(f"{JOBS}/{runs['id']}").status_code == 204


def test_the_audit_log_says_who_did_what_and_holds_no_secret(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    file = tmp_path / "keys"
    key, reader = make_key(file, "ann", BOTH), make_key(file, "eve", ("read",))
    secret = {"kind": "extract", "source": {"url": "https://media.example/v?token=s3cret"}}
    with apis(tmp_path, valkey, log_format="json") as (api,):
        with api.client(headers={"X-API-Key": key}) as client:
            job = client.post(JOBS, json=secret).json()["id"]
            client.get(f"{JOBS}/{job}")
            client.post(f"{JOBS}/{job}/cancel")
        get(api, "clipmill_wrong")
        httpx2.post(api.url + JOBS, json=secret, headers={"X-API-Key": reader}, trust_env=False)
        revoke_key(file, "eve")
        end = time.monotonic() + 10
        while "a key was revoked" not in api.log():
            assert time.monotonic() < end
            time.sleep(0.1)
        lines = [json.loads(line) for line in api.log().splitlines() if '"audit"' in line]
    seen = [(it.get("key"), it.get("action"), it.get("status")) for it in lines]
    assert seen == [
        ("ann", f"POST {JOBS}", 202), ("ann", f"POST {JOBS}/<job_id>/cancel", 202),
        ("anonymous", f"GET {JOBS}", 401), ("anonymous", f"POST {JOBS}", 403),
        ("eve", None, None),
    ]  # fmt: skip
    assert (lines[0]["created"], lines[1]["subject"]) == (job, job)
    assert lines[0]["client"] == "127.0.0.1"
    for text in (key, reader, "s3cret", "clipmill_wrong"):
        assert text not in api.log()
