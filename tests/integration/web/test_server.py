"""The server as a process: how it starts, who may use it, what it survives, how it stops."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import httpx2
import psutil
import pytest

from tasks.store.keys import COUNTERS
from tests.integration.web.test_jobs import DOWNLOAD, submitted
from tests.integration.web.test_submission import CLIP, JOBS, refused
from tests.support.loopback import LOOPBACK
from tests.support.processes import eventually
from tests.support.records import at_once
from tests.support.stack import Api, Hands, following
from tests.support.valkey import ValkeyServer


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A broker of this test alone, to be stopped and started."""
    folder = tmp_path / "v"
    folder.mkdir()
    with ValkeyServer(folder) as server:
        yield server


def test_a_port_that_is_taken_is_not_shared_in_silence(api: Api, tmp_path: Path) -> None:
    port = api.url.rpartition(":")[2]
    second = Api(tmp_path, "unix:///nowhere", port=port)
    with pytest.raises(AssertionError, match="cannot listen"):
        second.start()
    assert second.process is not None
    assert second.process.wait(10) == 1


def test_t09_without_keys_what_a_plain_nginx_passes_on_is_refused(api: Api) -> None:
    """As `proxy_pass` sends it with no other directive: HTTP/1.0, the API's own name, no trace."""
    host, _, port = api.url.removeprefix("http://").partition(":")
    request = f"GET {JOBS} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as answer:
            whole = answer.read()
    assert whole.split(b"\r\n")[0].split()[1] == b"403"
    assert b"clipmill keys new" in whole


def test_a_faulty_setting_stops_the_start_and_is_named(tmp_path: Path) -> None:
    api = Api(tmp_path, "unix:///nowhere", log_level="loud")
    with pytest.raises(AssertionError, match="CLIPMILL_LOG_LEVEL"):
        api.start()
    assert api.process is not None
    assert api.process.wait(10) == 1


def test_an_unusable_key_file_stops_the_start(tmp_path: Path, valkey: ValkeyServer) -> None:
    (tmp_path / "keys").write_text("nonsense\n")
    api = Api(tmp_path, valkey.url, api_keys_file=str(tmp_path / "keys"))
    with pytest.raises(AssertionError, match="line 1"):
        api.start()
    assert api.process is not None
    assert api.process.wait(20) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_although_clients_wait(
    tmp_path: Path, valkey: ValkeyServer, number: signal.Signals
) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client, api.client() as other:
        job_id = submitted(client)
        answers: list[httpx2.Response] = []
        waiting = threading.Thread(
            target=lambda: answers.append(other.get(f"{JOBS}/{job_id}", params={"wait": 60}))
        )
        with following(client, f"{JOBS}/{job_id}/events") as events:
            next(events)
            waiting.start()
            time.sleep(0.5)
            processes = api.processes()
            began = time.monotonic()
            assert api.stop(number) == 0
            assert time.monotonic() - began < 8
            assert list(events) == []
        waiting.join()
        assert [answer.status_code for answer in answers] == [200]
        assert not any(process.is_running() for process in processes)


def test_no_worker_outlives_a_parent_that_was_killed(tmp_path: Path, valkey: ValkeyServer) -> None:
    with Api(tmp_path, valkey.url) as api:
        _, worker = api.processes()
        assert api.process is not None
        api.process.kill()
        api.process.wait()
        # Its new parent may not reap it, so a zombie counts as ended.
        gone = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        assert eventually(lambda: not worker.is_running() or worker.status() in gone, 10)


def test_r05_without_its_store_it_says_so_soon_and_recovers_by_itself(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        job_id = submitted(client)
        valkey.kill()
        began = time.monotonic()
        for answer in (
            client.post(JOBS, json=CLIP),
            client.get(f"{JOBS}/{job_id}"),
            client.get(JOBS),
            client.get(f"{JOBS}/{job_id}/events"),
        ):
            refused(answer, 503, "store_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert time.monotonic() - began < 8
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["services"]["redis"] == {"status": "unhealthy"}
        assert "clipmill_store_up 0.0" in client.get("/metrics").text
        valkey.start()
        assert eventually(lambda: client.get(f"{JOBS}/{job_id}").status_code == 200, 10)


def asked_in_a_crowd(api: Api, path: str, times: int) -> list[tuple[int, float]]:
    """The status and the seconds of each of many requests at once, by connections of their own."""
    with ExitStack() as open_:
        clients = [open_.enter_context(api.client()) for _ in range(times)]
        for client in clients:
            client.get("/livez").raise_for_status()

        def ask(number: int) -> tuple[int, float]:
            began = time.monotonic()
            answer = clients[number].get(path)
            return answer.status_code, time.monotonic() - began

        return at_once(ask, times)


def test_r05_a_store_that_hangs_is_answered_for_within_two_seconds(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Each request is tried until it was soon enough, three times at most: machines are busy."""
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        job_id = submitted(client)
        requests: list[Callable[[], httpx2.Response]] = [
            lambda: client.post(JOBS, json=CLIP),
            lambda: client.post(JOBS, json=CLIP, headers={"Idempotency-Key": "one"}),
            lambda: client.get(f"{JOBS}/{job_id}"),
            lambda: client.get(f"{JOBS}/{job_id}/events"),
        ]
        with stopped(valkey.pid):
            for ask in requests:
                took = [seconds_of_a_refusal(ask)]
                while took[-1] >= 2 and len(took) < 3:
                    took.append(seconds_of_a_refusal(ask))
                assert min(took) < 2
            # More than there are connections: they do not wait one after the other.
            crowds = [asked_in_a_crowd(api, f"{JOBS}/{job_id}", 100) for _ in range(2)]
            assert {status for crowd in crowds for status, _ in crowd} == {503}
            assert min(max(seconds for _, seconds in crowd) for crowd in crowds) < 2.5
        # Polls and submissions have connections of their own, and each finds out by itself.
        assert eventually(lambda: client.get(f"{JOBS}/{job_id}").status_code == 200, 10)
        assert eventually(lambda: client.get(JOBS).status_code == 200, 10)
        # What was asked while it hung is done at most once, and never under another's name.
        named = client.post(JOBS, json=CLIP, headers={"Idempotency-Key": "one"})
        assert named.status_code == 202
        again = client.post(JOBS, json=CLIP, headers={"Idempotency-Key": "one"})
        assert again.json()["id"] == named.json()["id"]
        assert again.headers["Idempotency-Replayed"] == "true"


def seconds_of_a_refusal(ask: Callable[[], httpx2.Response]) -> float:
    """How long it took to say that the store does not answer."""
    time.sleep(0.3)  # what the last request has found out is known to the next one for a moment
    began = time.monotonic()
    answer = ask()
    took = time.monotonic() - began
    refused(answer, 503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    return took


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is there and does nothing for the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stream_lives_on_while_the_store_hangs(tmp_path: Path, valkey: ValkeyServer) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        job_id = submitted(client)
        with following(client, f"{JOBS}/{job_id}/events") as events:
            next(events)
            with stopped(valkey.pid):
                time.sleep(4)  # longer than any time-out
            Hands(api).take()
            told = next(event for event in events if "event" in event)
            assert told["data"]["state"] == "running"


def test_a_stream_outlives_a_restart_of_the_store(tmp_path: Path, valkey: ValkeyServer) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        job_id = submitted(client)
        with following(client, f"{JOBS}/{job_id}/events") as events:
            next(events)
            valkey.kill()
            time.sleep(0.5)
            valkey.start()
            Hands(api).take()
            told = next(event for event in events if "event" in event)
            assert told["data"]["state"] == "running"


def test_a_full_queue_takes_no_more_and_leaves_no_record(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with Api(tmp_path, valkey.url, max_queued_jobs="2") as api, api.client() as client:
        for number in range(2):
            submitted(client, source={"url": f"https://example.org/{number}"})
        before = set(api.store.connection.redis.keys("*"))
        answer = client.post(JOBS, json={**DOWNLOAD, "source": {"url": "https://example.org/3"}})
        refused(answer, 503, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
        assert set(api.store.connection.redis.keys("*")) - before <= {COUNTERS.encode()}


@pytest.fixture
def keyed(tmp_path: Path, valkey: ValkeyServer) -> Iterator[Api]:
    keys = {"ann": "read,submit", "bob": "read,submit", "eve": "read", "boss": "admin"}
    lines = [
        f"{name}:{scopes}:{sha256(f'key-of-{name}'.encode()).hexdigest()}\n"
        for name, scopes in keys.items()
    ]
    (tmp_path / "keys").write_text("".join(lines))
    with Api(tmp_path, valkey.url, api_keys_file=str(tmp_path / "keys")) as api:
        yield api


@pytest.mark.parametrize("what", ["one job", "every job"])
def test_t14_the_stream_of_a_revoked_key_ends_within_a_second(keyed: Api, what: str) -> None:
    file = keyed.folder / "keys"
    with keyed.client(headers={"X-API-Key": "key-of-ann"}) as ann, keyed.client() as other:
        job_id = submitted(ann)
        path = "/api/v2/events" if what == "every job" else f"{JOBS}/{job_id}/events"
        with (
            following(ann, path) as events,
            following(other, "/api/v2/events", headers={"X-API-Key": "key-of-boss"}) as of_boss,
        ):
            lines = file.read_text().splitlines(keepends=True)
            part = file.with_suffix(".new")
            part.write_text("".join(line for line in lines if not line.startswith("ann:")))
            part.replace(file)
            began = time.monotonic()
            seen = [event["id"] for event in events]  # until the stream ends
            assert time.monotonic() - began < 1.5
            assert seen in ([], [f"{job_id}.1"])
            refused(ann.get(f"{JOBS}/{job_id}"), 401, "missing_credentials")
            boss = {"X-API-Key": "key-of-boss"}
            assert other.post(f"{JOBS}/{job_id}/cancel", headers=boss).status_code == 202
            states = (event["data"].get("state") for event in of_boss)
            assert next(state for state in states if state == "cancelled")


def test_a11_a_key_sees_its_own_jobs_and_no_others(keyed: Api) -> None:
    ann, bob, eve, boss, nobody = (
        keyed.client(headers={"X-API-Key": f"key-of-{name}"})
        for name in ("ann", "bob", "eve", "boss", "mallory")
    )
    with ann, bob, eve, boss, nobody:
        answer = nobody.get(JOBS)
        refused(answer, 401, "missing_credentials")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        refused(httpx2.get(f"{keyed.url}/api/v2/nope", **LOOPBACK), 401, "missing_credentials")
        assert httpx2.get(f"{keyed.url}/health", **LOOPBACK).status_code == 200
        refused(eve.post(JOBS, json=DOWNLOAD), 403, "forbidden")
        job_id = submitted(ann)
        batch = ann.post(
            "/api/v2/batches", json={"jobs": [{**DOWNLOAD, "quality": "worst"}]}
        ).json()
        assert ann.get(f"{JOBS}/{job_id}").status_code == 200
        for path in (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}?wait=0", f"{JOBS}/{job_id}/events"):
            refused(bob.get(path), 404, "not_found")
        refused(bob.get(f"/api/v2/batches/{batch['id']}"), 404, "not_found")
        refused(bob.post(f"/api/v2/batches/{batch['id']}/cancel"), 404, "not_found")
        refused(bob.post(f"{JOBS}/{job_id}/cancel"), 404, "not_found")
        refused(bob.delete(f"{JOBS}/{job_id}"), 404, "not_found")
        assert bob.get(JOBS).json()["jobs"] == []
        clip_of_anns = {**CLIP, "source": {"job_id": job_id}}
        refused(bob.post(JOBS, json=clip_of_anns), 422, "validation_failed")
        artifact = Hands(keyed).finish(Hands(keyed).take())
        path = f"/api/v2/artifacts/{artifact.id}"
        assert (ann.get(path).status_code, boss.get(path).status_code) == (200, 200)
        refused(bob.get(path), 404, "not_found")
        assert len(boss.get(JOBS).json()["jobs"]) == 2
        assert "key-of-ann" not in keyed.log()


def test_a_stream_of_all_jobs_says_that_it_is_there_while_only_others_jobs_change(
    keyed: Api,
) -> None:
    ann, bob = (keyed.client(headers={"X-API-Key": f"key-of-{name}"}) for name in ("ann", "bob"))
    hands = Hands(keyed)
    with ann, bob, following(ann, "/api/v2/events") as events, ExitStack() as at_end:
        submitted(bob)
        lease = hands.take()
        over = threading.Event()

        def change() -> None:
            nonlocal lease
            while not over.wait(0.3):
                lease = hands.progress(lease, lease.job.progress + 0.0001)

        changing = threading.Thread(target=change)
        changing.start()
        at_end.callback(changing.join)
        at_end.callback(over.set)
        began = time.monotonic()
        assert next(events) == {"comment": "still here"}
        assert time.monotonic() - began < 15


def test_a_request_id_is_kept_or_made_and_stands_in_the_log(
    api: Api, client: httpx2.Client
) -> None:
    answer = client.post(JOBS, json=CLIP, headers={"X-Request-Id": "order-66"})
    assert answer.headers["x-request-id"] == "order-66"
    assert '"request_id": "order-66"' in api.log()
    for odd in ("a b", "x" * 200, '"', ""):
        made = client.get("/livez", headers={"X-Request-Id": odd}).headers["x-request-id"]
        assert made != odd
        assert made.isalnum()


def test_garbage_on_the_wire_leaves_the_api_alive(api: Api, client: httpx2.Client) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET /\0 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):  # fmt: skip
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(garbage)
            connection.settimeout(0.5)
            try:
                connection.recv(4096)
            except OSError:
                continue
    assert client.get("/livez").status_code == 200


def test_it_is_small_at_rest(tmp_path: Path, valkey: ValkeyServer) -> None:
    with Api(tmp_path, valkey.url) as api, api.client() as client:
        assert client.get("/health").status_code == 200
        proportional = sum(process.memory_full_info().pss for process in api.processes())
        assert proportional < 110 * 1024**2


def test_a_worker_that_was_killed_takes_the_parent_with_it(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Whoever supervises the parent then starts both again."""
    with Api(tmp_path, valkey.url) as api:
        _, worker = api.processes()
        worker.kill()
        assert api.process is not None
        assert api.process.wait(20) == 1


def test_clients_that_say_nothing_do_not_keep_others_out(api: Api, client: httpx2.Client) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    silent = [socket.create_connection((host, int(port)), timeout=10) for _ in range(1500)]
    try:
        began = time.monotonic()
        assert client.get("/livez").status_code == 200
        # The server closes silent connections after 15 seconds: it must not have needed that.
        assert time.monotonic() - began < 10
    finally:
        for connection in silent:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_hundreds_of_clients_that_wait_are_all_told_at_once(
    client: httpx2.Client, api: Api, hands: Hands
) -> None:
    job_id = submitted(client)
    lease = hands.take()
    host, port = api.url.removeprefix("http://").split(":")
    request = (
        f"GET {JOBS}/{job_id}?wait=60 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    waiting = [socket.create_connection((host, int(port)), timeout=30) for _ in range(300)]
    for connection in waiting:
        connection.sendall(request.encode())
    time.sleep(1)
    assert client.get(f"{JOBS}/{job_id}").json()["state"] == "running"
    hands.finish(lease)
    for connection in waiting:
        with connection, connection.makefile("rb") as answer:
            text = answer.read()
            assert text.startswith(b"HTTP/1.1 200 OK")
            assert b'"state":"succeeded"' in text
