"""The bytes of a file over HTTP."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from werkzeug.http import parse_options_header

from tasks.artifact import StoredArtifact
from tests.integration.web.test_jobs import submitted
from tests.integration.web.test_submission import refused
from tests.support.stack import Api, Hands

CONTENT = bytes(range(256)) * 4  # 1,024 bytes, each place tells where it is


@pytest.fixture
def artifact(client: httpx2.Client, hands: Hands) -> StoredArtifact:
    submitted(client)
    return hands.finish(hands.take(), CONTENT)


@pytest.fixture
def path(artifact: StoredArtifact) -> str:
    return f"/api/v2/artifacts/{artifact.id}"


def test_a_file_comes_whole_with_its_type_and_hash(client: httpx2.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["etag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"] == "inline; filename=a.mp4"


def test_head_tells_all_of_it_without_the_bytes(client: httpx2.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "accept-ranges", "content-disposition"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=1000-", 1000, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-5000", 0, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=1023-1023", 1023, 1023),
    ],
)
def test_a_range_comes_alone(
    client: httpx2.Client, path: str, asked: str, first: int, last: int
) -> None:
    answer = client.get(path, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1024"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.content == CONTENT[first : last + 1]


@pytest.mark.parametrize(
    "asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0", "bytes=999999999999-"]
)
def test_a_range_behind_the_end_is_not_satisfiable(
    client: httpx2.Client, path: str, asked: str
) -> None:
    answer = client.get(path, headers={"Range": asked})
    refused(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6", "bytes=5-2", "lines=0-1", "bytes", "bytes=a-b", "bytes=--1", "bytes=0-1;",
        "", "bytes=" + "0-0," * 500,
    ],
)  # fmt: skip
def test_several_ranges_and_nonsense_get_the_whole_file(
    client: httpx2.Client, path: str, asked: str
) -> None:
    answer = client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_range_of_another_version_gets_the_whole_file(client: httpx2.Client, path: str) -> None:
    etag = client.get(path).headers["etag"]
    same = client.get(path, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status_code, len(same.content)) == (206, 10)
    assert (other.status_code, len(other.content)) == (200, 1024)


def test_who_has_the_file_does_not_get_it_again(client: httpx2.Client, path: str) -> None:
    etag = client.get(path).headers["etag"]
    for condition in (etag, f"W/{etag}", "*", f'"x", {etag}'):
        answer = client.get(path, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag


def test_who_has_the_file_gets_no_part_of_it_either(client: httpx2.Client, path: str) -> None:
    whole = client.get(path).headers
    for headers in (
        {"If-None-Match": whole["etag"]},
        {"If-None-Match": "*"},
        {"If-Modified-Since": whole["last-modified"]},
    ):
        answer = client.get(path, headers={"Range": "bytes=0-9", **headers})
        assert (answer.status_code, answer.content) == (304, b"")
    part = client.get(path, headers={"Range": "bytes=0-9", "If-None-Match": '"other"'})
    assert (part.status_code, len(part.content)) == (206, 10)


def test_a_weak_tag_or_a_time_does_not_tell_two_versions_apart(
    client: httpx2.Client, path: str
) -> None:
    whole = client.get(path).headers
    for given in (f"W/{whole['etag']}", whole["last-modified"], "nonsense"):
        answer = client.get(path, headers={"Range": "bytes=0-9", "If-Range": given})
        assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_condition_that_does_not_hold_is_refused_without_the_file(
    client: httpx2.Client, path: str, method: str
) -> None:
    whole = client.get(path).headers
    for headers in (
        {"If-Match": '"other"'},
        {"If-Match": f"W/{whole['etag']}"},
        {"If-Match": '"other"', "Range": "bytes=0-9"},
        {"If-Unmodified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"},
    ):
        answer = client.request(method, path, headers=headers)
        if method == "GET":
            refused(answer, 412, "precondition_failed")
        assert answer.status_code == 412
        assert answer.headers["content-type"] == "application/problem+json"
    for headers in (
        {"If-Match": whole["etag"]},
        {"If-Match": "*"},
        {"If-Match": whole["etag"], "If-Unmodified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"},
        {"If-Unmodified-Since": whole["last-modified"]},
    ):
        assert client.request(method, path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "title",
    [
        "x" * 5000, "夏の映画 🎬.mp4", '<script>"alert"</script>.mp4', 'a"\r\nX-Evil: y.mp4',
        "a\u202egpj.mp4", "nul\0.mp4", "../../etc/passwd", "back\\slash", "semi;colon=1.mp4", "",
        "100 %.mp4", "é.mp4", "\u200f", "a\tb",
    ],
)  # fmt: skip
@pytest.mark.parametrize("download", ["0", "1"])
def test_l12_any_title_makes_one_valid_content_disposition(
    client: httpx2.Client, hands: Hands, title: str, download: str
) -> None:
    submitted(client)
    artifact = hands.finish(hands.take(), b"x", title)
    answer = client.get(f"/api/v2/artifacts/{artifact.id}", params={"download": download})
    assert answer.status_code == 200
    (header,) = answer.headers.get_list("content-disposition")
    assert header.isascii()
    assert "x-evil" not in answer.headers
    way, options = parse_options_header(header)
    assert way == ("attachment" if download == "1" else "inline")
    name = options["filename"]
    assert name
    assert len(name) <= 200
    assert not set(name) & set("/\\\r\n\0\u202e\u200f\t")


@pytest.mark.parametrize("flag", ["yes", "2", "true", ""])
def test_the_download_flag_is_0_or_1(client: httpx2.Client, path: str, flag: str) -> None:
    refused(client.get(path, params={"download": flag}), 422, "validation_failed")


def test_a_file_that_is_no_longer_kept_is_gone(
    client: httpx2.Client, path: str, artifact: StoredArtifact, api: Api
) -> None:
    api.storage.delete(artifact.storage_key)
    refused(client.get(path), 410, "artifact_expired")


def test_a_file_in_a_storage_that_is_away_is_not_said_to_be_gone(
    client: httpx2.Client, path: str, api: Api
) -> None:
    elsewhere = api.artifacts.with_name("elsewhere")
    api.artifacts.rename(elsewhere)
    refused(client.get(path), 503, "storage_unavailable")
    elsewhere.rename(api.artifacts)
    assert client.get(path).status_code == 200


def test_a_large_file_is_sent_without_being_held(
    client: httpx2.Client, hands: Hands, api: Api, tmp_path: Path
) -> None:
    submitted(client)
    artifact = hands.finish(hands.take(), b"\0" * 200 * 1024**2)
    worker = api.processes()[1]
    before = worker.memory_info().rss
    with client.stream("GET", f"/api/v2/artifacts/{artifact.id}") as answer:
        blocks = answer.iter_raw(65536)
        next(blocks)
        sizes: list[Any] = [worker.memory_info().rss - before]
        assert sum(len(block) for block in blocks) > 199 * 1024**2
        sizes.append(worker.memory_info().rss - before)
    assert max(sizes) < 20 * 1024**2
