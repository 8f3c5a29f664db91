"""Clients that send slowly, send nothing, or leave: they cost little, and keep nobody out."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from config.memory import MOST_WAITING
from tests.integration.web.test_batches import BATCHES
from tests.integration.web.test_jobs import DOWNLOAD, submitted
from tests.integration.web.test_submission import JOBS, JSON, refused
from tests.support.processes import eventually
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

MB = 1024**2
LONG_BATCH = b" " * 2 * MB + b"{}"
MANY = 1700
SILENCE_SECONDS = 2


@pytest.fixture(scope="module")
def impatient(
    shared_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """An API that waits for two seconds for what it is sent."""
    folder = tmp_path_factory.mktemp("impatient")
    with Api(folder, shared_valkey.url, client_silence=f"{SILENCE_SECONDS}s") as api:
        yield api


@pytest.fixture
def impatient_client(impatient: Api) -> Iterator[httpx2.Client]:
    impatient.store.connection.redis.flushall()
    with impatient.client() as client:
        yield client


@contextmanager
def connections(api: Api, count: int) -> Iterator[list[socket.socket]]:
    """So many at once; for this time the process may have as many descriptors."""
    host, port = api.url.removeprefix("http://").split(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 1024, hard), hard))
    try:
        with ExitStack() as open_:
            yield [
                open_.enter_context(socket.create_connection((host, int(port)), timeout=30))
                for _ in range(count)
            ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def head(path: str, length: int, key: str = "") -> bytes:
    """A request without its body."""
    lines = [
        f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
        f"Content-Length: {length}", *([f"X-API-Key: {key}"] if key else []),
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


def seconds_of(client: httpx2.Client) -> float:
    """How long a poll and a submission take together."""
    began = time.monotonic()
    assert client.get("/livez").status_code == 200
    assert client.post(JOBS, json=DOWNLOAD).status_code == 202
    return time.monotonic() - began


def status_of(connection: socket.socket) -> int:
    """The status of an answer, after which the server closes the connection."""
    text = b""
    while part := connection.recv(65536):
        text += part
    return int(text.split()[1])


@pytest.fixture
def keyed(shared_valkey: ValkeyServer, tmp_path: Path) -> Iterator[Api]:
    lines = [
        f"{name}:read,submit:{sha256(f'key-of-{name}'.encode()).hexdigest()}\n"
        for name in ("ann", "bob")
    ]
    (tmp_path / "keys").write_text("".join(lines))
    settings = {"api_keys_file": str(tmp_path / "keys"), "client_silence": f"{SILENCE_SECONDS}s"}
    with Api(tmp_path, shared_valkey.url, **settings) as api:
        yield api


def test_t04_bodies_that_never_come_keep_nobody_out_and_are_ended(
    impatient: Api, impatient_client: httpx2.Client
) -> None:
    before = sum(it.memory_info().rss for it in impatient.processes())
    with connections(impatient, MANY) as senders:
        for sender in senders:
            sender.sendall(head(JOBS, 100))
        # Three tries: what is shown is that nobody waits in line, not how fast the machine is.
        assert min(seconds_of(impatient_client) for _ in range(3)) < 0.5
        assert sum(it.memory_info().rss for it in impatient.processes()) - before < 128 * MB
        assert {status_of(sender) for sender in senders} == {408}
    assert seconds_of(impatient_client) < 5


@pytest.mark.parametrize(("key", "status"), [("key-of-ann", 408), ("", 401)])
def test_t04_with_keys_it_is_the_same_and_without_a_key_nobody_is_waited_for(
    keyed: Api, key: str, status: int
) -> None:
    with (
        connections(keyed, 300) as senders,
        keyed.client(headers={"X-API-Key": "key-of-bob"}) as other,
    ):
        began = time.monotonic()
        for sender in senders:
            sender.sendall(head(JOBS, 100, key) + b"{")
        assert min(seconds_of(other) for _ in range(3)) < 0.5
        assert {status_of(sender) for sender in senders} == {status}
        assert time.monotonic() - began < 15


def test_t05_who_drips_long_batches_keeps_out_nobody_and_is_ended(
    impatient: Api, impatient_client: httpx2.Client
) -> None:
    stop = threading.Event()
    with connections(impatient, 8) as senders:
        for sender in senders:
            sender.sendall(head(BATCHES, 5 * MB) + b" " * 1000)

        def drip() -> None:
            while not stop.wait(0.2):
                for sender in senders:
                    try:
                        sender.sendall(b" ")
                    except OSError:
                        return  # it is ended

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            long_one = impatient_client.post(BATCHES, content=LONG_BATCH, headers=JSON)
            refused(long_one, 422, "validation_failed")  # it was read
            assert {status_of(sender) for sender in senders} == {408}
        finally:
            stop.set()
            dripping.join()


def test_a_slow_client_that_keeps_sending_is_served(
    impatient: Api, impatient_client: httpx2.Client
) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.4)
            yield b" " * 8192
        yield b'{"kind":"download","source":{"url":"https://example.org/slow"}}'

    answer = impatient_client.post(JOBS, content=slowly(), headers=JSON)
    assert answer.status_code == 202


def test_a_body_that_breaks_off_is_no_request(
    impatient: Api, impatient_client: httpx2.Client
) -> None:
    body = b'{"kind":"download","source":{"url":"https://example.org/half"}}'
    with connections(impatient, 2) as (declared, chunked):
        declared.sendall(head(JOBS, len(body) + 1) + body)
        lines = head(JOBS, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunked.sendall(lines + b"%x\r\n" % (len(body) + 1) + body)
        time.sleep(0.2)
    time.sleep(0.2)
    assert impatient_client.get(JOBS).json()["jobs"] == []


@pytest.mark.parametrize("path", ["?wait=60", "/events"])
def test_t06_places_of_clients_that_have_left_are_free_within_two_seconds(
    api: Api, client: httpx2.Client, path: str
) -> None:
    job = f"{JOBS}/{submitted(client)}"

    def is_refused() -> bool:
        return client.get(job, params={"wait": "0.01"}).status_code == 503

    # Some more than there are places: on a busy machine the store may refuse a few of so many.
    with connections(api, MOST_WAITING + 100) as waiting:
        for connection in waiting:
            connection.sendall(f"GET {job}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert eventually(is_refused, 60)  # a thread for each takes time on a busy machine
    assert eventually(lambda: not is_refused(), 2)
