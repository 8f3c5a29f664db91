"""Clients that ask for files and do not read them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.web.test_batches import BATCHES
from tests.integration.web.test_jobs import submitted
from tests.integration.web.test_submission import JOBS, refused
from tests.support.processes import eventually
from tests.support.stack import Api, Hands
from tests.support.valkey import ValkeyServer

MB = 1024**2
PLACES = 60


@pytest.fixture(scope="module")
def small_api(
    shared_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("small")
    with Api(folder, shared_valkey.url, max_transfers=str(PLACES)) as api:
        yield api


@pytest.fixture
def long_file(small_api: Api) -> str:
    """The path of a file that no buffer holds."""
    small_api.store.connection.redis.flushall()
    with small_api.client() as client:
        submitted(client)
    hands = Hands(small_api)
    return f"/api/v2/artifacts/{hands.finish(hands.take(), bytes(100 * MB)).id}"


@contextmanager
def clients_that_do_not_read(api: Api, path: str, times: int) -> Iterator[list[bytes]]:
    """So many of them at once; the first bytes that each was sent."""
    host, port = api.url.removeprefix("http://").split(":")
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as open_:
        clients = []
        for _ in range(times):
            client = open_.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(20)
            client.connect((host, int(port)))
            client.sendall(request)
            clients.append(client)
        yield [client.recv(len("HTTP/1.1 200"), socket.MSG_PEEK) for client in clients]


def grown(api: Api, before: int) -> int:
    """By how many bytes the worker is larger now, when it has stopped growing."""
    worker = api.processes()[1]
    sizes = [worker.memory_info().rss]

    def still() -> bool:
        sizes.append(worker.memory_info().rss)
        return len(sizes) > 4 and max(sizes[-4:]) - min(sizes[-4:]) < MB

    assert eventually(still, 20)
    return sizes[-1] - before


def test_clients_that_do_not_read_cost_little_and_keep_nobody_out(
    small_api: Api, long_file: str
) -> None:
    with small_api.client() as client:
        job = client.get(JOBS).json()["jobs"][0]["links"]["self"]
        before = small_api.processes()[1].memory_info().rss
        with clients_that_do_not_read(small_api, long_file, PLACES) as answers:
            assert set(answers) == {b"HTTP/1.1 200"}
            first = grown(small_api, before)
            answer = client.get(long_file)
            refused(answer, 503, "too_many_transfers")
            assert int(answer.headers["retry-after"]) > 0
            # What is no long answer needs no place.
            assert client.head(long_file).status_code == 200
            assert client.get(long_file, headers={"If-None-Match": "*"}).status_code == 304
            assert client.get(job).json()["state"] == "succeeded"
            assert client.get(job, params={"wait": 5}).status_code == 200
        assert eventually(lambda: client.get(long_file).status_code == 200, 10)
        with clients_that_do_not_read(small_api, long_file, PLACES) as answers:
            assert set(answers) == {b"HTTP/1.1 200"}
            second = grown(small_api, before)
    assert first < PLACES * 0.7 * MB
    assert second < PLACES * 0.8 * MB  # what the first ones left was used again


def test_every_way_of_an_answer_to_end_gives_its_place_back(small_api: Api, long_file: str) -> None:
    asked: list[dict[str, str]] = [
        {},
        {"Range": "bytes=0-9"},
        {"Range": "bytes=999999999-"},
        {"If-None-Match": "*"},
        {"If-Match": '"other"'},
    ]
    with small_api.client() as client:
        for number in range(PLACES + 5):
            headers = asked[number % len(asked)] if number % 7 else {"Range": "bytes=5-"}
            with client.stream("GET", long_file, headers=headers) as answer:
                assert answer.status_code in (200, 206, 304, 412, 416)
            client.head(long_file)
        # Now all of them are free: so many can be sent at once.
        assert eventually(lambda: all_are_free(small_api, long_file), 10)


def all_are_free(api: Api, path: str) -> bool:
    with clients_that_do_not_read(api, path, PLACES) as answers:
        return set(answers) == {b"HTTP/1.1 200"}


def test_a_client_that_takes_nothing_for_long_loses_its_place(
    shared_valkey: ValkeyServer, tmp_path: Path
) -> None:
    with (
        Api(tmp_path, shared_valkey.url, max_transfers="1", client_silence="1s") as api,
        api.client() as client,
    ):
        api.store.connection.redis.flushall()
        submitted(client)
        hands = Hands(api)
        path = f"/api/v2/artifacts/{hands.finish(hands.take(), bytes(100 * MB)).id}"
        with clients_that_do_not_read(api, path, 1) as answers:
            assert answers == [b"HTTP/1.1 200"]
            refused(client.get(path), 503, "too_many_transfers")
            assert eventually(lambda: client.get(path).status_code == 200, 20)


def test_an_archive_needs_a_place_as_a_file_does(small_api: Api, long_file: str) -> None:
    with small_api.client() as client:
        jobs = [{"kind": "download", "source": {"url": "https://example.org/2"}}]
        batch = client.post(BATCHES, json={"jobs": jobs}).json()
        hands = Hands(small_api)
        hands.finish(hands.take(), bytes(100 * MB))
        archive = batch["links"]["archive"]
        with clients_that_do_not_read(small_api, archive, PLACES) as answers:
            assert set(answers) == {b"HTTP/1.1 200"}
            refused(client.get(archive), 503, "too_many_transfers")
            refused(client.get(long_file), 503, "too_many_transfers")
            assert client.head(archive).status_code == 200
        assert eventually(lambda: client.get(long_file).status_code == 200, 10)
