"""No job reaches a forbidden address, by whatever way its source leads there."""

from __future__ import annotations

import base64
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from config.values import parse_networks
from tasks.errors import BlockedAddress, NetworkError, TooLarge, ToolFailed
from tasks.job import JobState
from tests.chaos.canary import Canary
from tests.support.engine import Engine
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.valkey import ValkeyServer
from worker.egress import client as egress_client
from worker.egress.client import Egress, Way
from worker.egress.policy import Policy

HERE = parse_networks("127.0.0.1/32")  # the origin is here, the forbidden canary on 127.0.0.3


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()


@pytest.fixture
def real(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Engine]:
    with Engine(valkey.url, tmp_path, real_tools=True, allowed_networks="127.0.0.1/32") as engine:
        yield engine


@pytest.fixture
def egress(tmp_path: Path) -> Iterator[Egress]:
    with closing(Egress(HERE, tmp_path)) as egress:
        yield egress


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{}\n"
KEYED = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n'
    "#EXTINF:2,\n/s.ts\n#EXT-X-ENDLIST\n"
)
MAPPED = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="{}"\n#EXTINF:2,\n/s.ts\n#EXT-X-ENDLIST\n'
)
DASH = (
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">'
    '<Period><BaseURL>{}</BaseURL><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"/></AdaptationSet></Period></MPD>'
)
PAGE = "<!DOCTYPE html><html><head><title>x</title>{}</head><body>{}</body></html>"
RSS = (
    '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><item><title>y</title>'
    '<enclosure url="{}" type="video/mp4"/></item></channel></rss>'
)


def hls(text: str) -> Callable[[str], Any]:
    return lambda url: answers.content(text.format(url).encode(), "application/x-mpegurl")


def page(head: str = "", body: str = "") -> Callable[[str], Any]:
    return lambda url: answers.content(
        PAGE.format(head.replace("URL", url), body.replace("URL", url)).encode(), "text/html"
    )


WAYS: dict[str, Callable[[str], Any]] = {
    "redirect": answers.redirect,
    "segment": hls(HLS),
    "variant": hls(MASTER),
    "key": hls(KEYED),
    "map": hls(MAPPED),
    "dash": lambda url: answers.content(DASH.format(url).encode(), "application/dash+xml"),
    "video tag": page(body='<video src="URL"></video>'),
    "source tag": page(body='<video><source src="URL" type="video/mp4"></video>'),
    "og:video": page(head='<meta property="og:video" content="URL">'),
    "meta refresh": page(head='<meta http-equiv="refresh" content="0; url=URL">'),
    "json-ld": page(
        head='<script type="application/ld+json">{"@context":"https://schema.org","@type":'
        '"VideoObject","name":"x","contentUrl":"URL"}</script>'
    ),
    "rss": lambda url: answers.content(RSS.format(url).encode(), "application/rss+xml"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["extract", "download"])
def test_t01_t02_t03_no_way_leads_to_a_forbidden_address(
    real: Engine, origin: Origin, canary: Canary, way: str, kind: str
) -> None:
    url = origin.add(f"/{kind}/{way.replace(' ', '-')}", WAYS[way](f"http://{canary.place}/v.mp4"))
    origin.add("/s.ts", answers.content(b"G" * 188, "video/mp2t"))
    submit = real.submit if kind == "extract" else real.submit_download
    job_id = submit(url)
    real.run_all(kind)
    job = real.store.jobs.get(job_id)
    assert canary.visits == 0
    if kind == "download":
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error.code == "blocked_address", job.error
        assert canary.place not in job.error.message


def test_what_a_job_did_on_the_network_is_in_its_result(
    real: Engine, origin: Origin, media_folder: Path
) -> None:
    film = cached_video(media_folder, Video(seconds=2.0))
    url = origin.add("/film.mp4", answers.file(film))
    job_id = real.submit_download(url)
    real.run_all("download")
    result = real.store.jobs.get(job_id).result
    assert result is not None
    assert result.network is not None
    (host,) = result.network.hosts
    assert host.host == urlsplit(url).netloc
    assert host.requests >= 1
    size = film.stat().st_size
    # The page is asked for before the file, and what is asked for in vain is read in part.
    assert size <= host.bytes_received <= 3 * size + 65_536
    assert result.network.refused == 0


def connected(way: Way) -> tuple[socket.socket, str]:
    """A connection to the proxy, and what its password is."""
    parts = urlsplit(way.url)
    assert parts.port is not None
    password = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    connection = socket.create_connection(("127.0.0.1", parts.port), timeout=10)
    return connection, f"Proxy-Authorization: Basic {password}\r\n"


def status_of(way: Way, request: str, *, known: bool = True) -> int:
    connection, password = connected(way)
    with connection:
        head, _, rest = request.partition("\r\n")
        connection.sendall(f"{head}\r\n{password if known else ''}{rest}\r\n".encode("latin-1"))
        answer = connection.recv(4096)
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.3", "127.1.1", "2130706435", "0x7f000003", "0177.0.0.3", "0.0.0.0", "localhost",
        "[::1]", "[::]", "[::ffff:127.0.0.3]", "[::ffff:7f00:3]", "[::127.0.0.3]",
        "[64:ff9b::7f00:3]", "[64:ff9b:1::7f00:3]", "[2002:7f00:3::]", "[2001::1]", "[fe80::1]",
        "[fec0::1]", "[fc00::1]", "[ff02::1]", "[3fff::1]", "[5f00::1]", "[100::1]", "10.0.0.1",
        "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.88.99.1",
        "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "192.31.196.1", "192.52.193.1", "192.175.48.1", "127.0.0.3.", "[2620:4f:8000::1]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["CONNECT {}:443 HTTP/1.1\r\n", "GET http://{}/x HTTP/1.1\r\n"])
def test_every_spelling_of_a_forbidden_address_is_refused(
    egress: Egress, host: str, form: str
) -> None:
    with egress.way(1000) as way:
        assert status_of(way, form.format(host)) in {403, 502}
    assert way.used.hosts == ()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /x HTTP/1.1\r\n", 400), ("GET https://127.0.0.1/ HTTP/1.1\r\n", 400),
        ("GET ftp://127.0.0.1/ HTTP/1.1\r\n", 400), ("CONNECT 127.0.0.1 HTTP/1.1\r\n", 400),
        ("CONNECT u:p@127.0.0.1:80 HTTP/1.1\r\n", 400),
        ("GET http://u@127.0.0.1/ HTTP/1.1\r\n", 400),
        ("nonsense\r\n", 400), ("GET http://[::1 HTTP/1.1\r\n", 400),
        ("CONNECT 127.0.0.1:99999 HTTP/1.1\r\n", 400), ("CONNECT 127.0.0.1:1 HTTP/1.1\r\n", 502),
    ],
)  # fmt: skip
def test_what_is_no_request_for_a_site_is_refused(
    egress: Egress, request_: str, status: int
) -> None:
    with egress.way(1000) as way:
        assert status_of(way, request_) == status


def test_only_a_job_that_runs_is_served(egress: Egress, origin: Origin) -> None:
    place = urlsplit(origin.url("/")).netloc
    asked = f"CONNECT {place} HTTP/1.1\r\n"
    with egress.way(1000) as way:
        assert status_of(way, asked) == 200
        assert status_of(way, asked, known=False) == 407
    with egress.way(1000) as other:
        assert status_of(way, asked) == 407  # its time is over
        assert status_of(other, asked) == 200


@pytest.mark.parametrize(
    ("port", "allowed"), [(80, True), (443, True), (8080, True), (22, False), (25, False)]
)
def test_only_ports_of_sites_are_reached(port: int, allowed: bool) -> None:
    policy = Policy((), [])
    if allowed:
        assert policy.addresses("93.184.216.34", port) == ["93.184.216.34"]
    else:
        with pytest.raises(BlockedAddress):
            policy.addresses("93.184.216.34", port)


def test_a_public_address_of_this_machine_is_forbidden() -> None:
    policy = Policy((), ["93.184.216.34"])
    with pytest.raises(BlockedAddress):
        policy.addresses("93.184.216.34", 443)
    named = Policy(parse_networks("93.184.216.34/32"), ["93.184.216.34"])
    assert named.addresses("93.184.216.34", 22) == ["93.184.216.34"]


def test_a_name_with_one_forbidden_address_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (text, port)) for text in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr("socket.getaddrinfo", mixed)
    with pytest.raises(BlockedAddress):
        Policy((), []).addresses("mixed.example", 443)


def test_more_than_is_allowed_does_not_come(
    egress: Egress, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress_client, "SPARE_BYTES", 0)
    place = urlsplit(origin.add("/big", answers.content(b"x" * 3_000_000, "video/mp4"))).netloc
    asked = f"GET http://{place}/big HTTP/1.1\r\nHost: {place}\r\n"

    def a_job() -> None:
        with egress.way(1_000_000) as way:
            assert received(way, asked) <= 1_500_000
            assert status_of(way, f"CONNECT {place} HTTP/1.1\r\n") == 403
            raise NetworkError("what the tool makes of it")

    with pytest.raises(TooLarge):
        a_job()


def received(way: Way, asked: str) -> int:
    """How many bytes come, until the connection ends."""
    connection, password = connected(way)
    count = 0
    with connection, suppress(OSError):
        connection.sendall(f"{asked}{password}\r\n".encode())
        while block := connection.recv(65_536):
            count += len(block)
    return count


def test_a_killed_proxy_fails_its_jobs_and_serves_the_next(egress: Egress, origin: Origin) -> None:
    place = urlsplit(origin.url("/")).netloc

    def a_job() -> None:
        with egress.way(1000):
            process = egress._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(ToolFailed):
        a_job()
    with egress.way(1000) as way:
        assert status_of(way, f"CONNECT {place} HTTP/1.1\r\n") == 200


def test_two_hundred_connections_at_once_are_served(egress: Egress, origin: Origin) -> None:
    place = urlsplit(origin.add("/some", answers.content(b"y" * 100_000, "video/mp4"))).netloc
    sizes: list[int] = []

    def fetch(way: Way) -> None:
        connection, password = connected(way)
        with connection:
            head = f"GET http://{place}/some HTTP/1.1\r\nHost: {place}\r\n{password}\r\n"
            connection.sendall(head.encode())
            read = b""
            while block := connection.recv(65_536):
                read += block
        sizes.append(len(read.partition(b"\r\n\r\n")[2]))

    def one_job() -> None:
        with egress.way(10_000_000) as way:
            threads = [threading.Thread(target=fetch, args=(way,)) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)

    jobs = [threading.Thread(target=one_job) for _ in range(5)]
    began = time.monotonic()
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(40)
    assert sizes == [100_000] * 200
    assert time.monotonic() - began < 30


def test_an_answer_that_breaks_off_is_never_a_complete_one(egress: Egress) -> None:
    """Of an answer without a length, only a clean end says that it is whole."""
    with socket.create_server(("127.0.0.1", 0)) as site:

        def serve() -> None:
            for is_whole in (True, False):
                connection, _ = site.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
                    time.sleep(0.3)
                    if not is_whole:  # as when a machine on the way dies
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        serving = threading.Thread(target=serve)
        serving.start()
        place = "{}:{}".format(*site.getsockname())
        asked = f"GET http://{place}/x HTTP/1.1\r\nHost: {place}\r\n"
        with egress.way(1_000_000) as way:
            assert ends_of(way, asked) == [1000, "clean"]
            assert ends_of(way, asked) == [1000, "broken"]
        serving.join(5)


def ends_of(way: Way, asked: str) -> list[object]:
    """How much of a body came, and how it ended."""
    connection, password = connected(way)
    read = b""
    with connection:
        connection.sendall(f"{asked}{password}\r\n".encode())
        try:
            while block := connection.recv(65_536):
                read += block
        except ConnectionResetError:
            return [len(read.partition(b"\r\n\r\n")[2]), "broken"]
    return [len(read.partition(b"\r\n\r\n")[2]), "clean"]
