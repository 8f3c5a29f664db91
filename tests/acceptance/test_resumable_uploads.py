"""Files in pieces, by tus 1.0: what arrived stays, and nothing is added in a wrong place."""

from __future__ import annotations

import base64
import hashlib
import signal
import socket
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tusclient.client import TusClient

from tests.support.media import Video, cached_video
from tests.support.processes import eventually
from tests.support.system import System
from web.http.receiving import MOST_ON_THEIR_WAY

RESUMABLE = "/api/v2/uploads/resumable"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def film(media_folder: Path) -> bytes:
    return cached_video(media_folder, Video(seconds=4.0, keyframe_seconds=1.0)).read_bytes()


def begin(system: System, length: int, name: str = "film.mp4", **headers: str) -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    told = {"Upload-Length": str(length), "Upload-Metadata": metadata, **headers}
    answer = system.client.post(RESUMABLE, headers={**TUS, **told})
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.headers["location"]


def add(system: System, place: str, offset: int, piece: bytes, **headers: str) -> httpx2.Response:
    told = {**PIECE, "Upload-Offset": str(offset), **headers}
    return system.client.patch(place, content=piece, headers=told)


def offset_of(system: System, place: str) -> int:
    answer = system.client.head(place, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def checked(system: System, place: str) -> dict[str, object]:
    """The upload when its check has ended."""
    upload_id = place.rsplit("/", 1)[1]
    system.until(upload_id)
    found: dict[str, object] = system.client.get(f"/api/v2/uploads/{upload_id}").json()
    return found


def test_it_says_what_it_can(system: System) -> None:
    answer = system.client.options(RESUMABLE)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    wanted = {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert set(answer.headers["tus-extension"].split(",")) == wanted
    assert int(answer.headers["tus-max-size"]) > 2**30


def test_pieces_become_the_file_and_the_file_a_source(system: System, film: bytes) -> None:
    place = begin(system, len(film))
    third = len(film) // 3
    for start in (0, third, 2 * third):
        piece = film[start : start + third] if start < 2 * third else film[start:]
        digest = base64.b64encode(hashlib.sha1(piece).digest()).decode()
        answer = add(system, place, start, piece, **{"Upload-Checksum": f"sha1 {digest}"})
        assert answer.status_code == 204, answer.text
        assert answer.headers["upload-offset"] == str(start + len(piece))
    upload = checked(system, place)
    assert upload["state"] == "succeeded"
    assert upload["sha256"] == hashlib.sha256(film).hexdigest()
    assert offset_of(system, place) == len(film)
    clip = {"kind": "clip", "source": {"upload_id": upload["id"]}, "start": 1, "end": 2}
    assert system.until(system.submit(**clip)["id"])["state"] == "succeeded"


def test_creation_may_bring_the_whole_file(system: System, film: bytes) -> None:
    told = {**PIECE, "Upload-Length": str(len(film))}
    answer = system.client.post(RESUMABLE, content=film, headers=told)
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == str(len(film))
    assert checked(system, answer.headers["location"])["state"] == "succeeded"


def test_a_broken_connection_costs_only_what_was_under_way(system: System, film: bytes) -> None:
    place = begin(system, len(film))
    host, port = system.url.removeprefix("http://").split(":")
    lines = [f"PATCH {place} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(film)}"]
    lines += [f"{name}: {value}" for name, value in {**PIECE, "Upload-Offset": "0"}.items()]
    half = len(film) // 2
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + film[:half])
        assert eventually(lambda: offset_on_disk(system, place) > 0, 10)
    assert eventually(lambda: add(system, place, 0, b"").status_code != 423, 10)
    there = offset_of(system, place)
    assert 0 < there <= half
    assert add(system, place, there, film[there:]).status_code == 204
    assert checked(system, place)["sha256"] == hashlib.sha256(film).hexdigest()


def offset_on_disk(system: System, place: str) -> int:
    return (system.data / "uploads" / place.rsplit("/", 1)[1] / "data").stat().st_size


def test_a_killed_api_loses_nothing_that_had_arrived(own_system: System, film: bytes) -> None:
    place = begin(own_system, len(film))
    half = len(film) // 2
    assert add(own_system, place, 0, film[:half]).status_code == 204
    own_system.restart_api(signal.SIGKILL)
    assert offset_of(own_system, place) == half
    assert add(own_system, place, half, film[half:]).status_code == 204
    assert checked(own_system, place)["sha256"] == hashlib.sha256(film).hexdigest()


def test_wrong_places_sums_and_lengths_change_nothing(system: System, film: bytes) -> None:
    place = begin(system, len(film))
    assert add(system, place, 0, film[:100]).status_code == 204
    wrong_sum = base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    asked = [
        (add(system, place, 0, film[:50]), 409, "upload_offset_conflict"),
        (add(system, place, 101, film[:50]), 409, "upload_offset_conflict"),
        (add(system, place, 100, film[:50], **{"Upload-Checksum": f"sha1 {wrong_sum}"}), 460, ""),
        (add(system, place, 100, film[:50], **{"Upload-Checksum": "crc32 AAAA"}), 422, ""),
        (add(system, place, 100, film + b"more"), 413, "body_too_large"),
        (add(system, place, 100, b"x", **{"Content-Type": "text/plain"}), 415, ""),
        (add(system, place, 100, b"x", **{"Tus-Resumable": "0.2"}), 412, "wrong_tus_version"),
        (add(system, f"{RESUMABLE}/01m8djw08f7mx7pajyzz4376vf", 0, b"x"), 404, "not_found"),
        (add(system, f"{RESUMABLE}/..%2f..%2fetc", 0, b"x"), 404, "not_found"),
    ]
    for answer, status, code in asked:
        assert answer.status_code == status, answer.text
        assert code in answer.text
    assert offset_of(system, place) == 100
    assert (system.data / "uploads" / place.rsplit("/", 1)[1] / "data").read_bytes() == film[:100]
    assert system.client.delete(place, headers=TUS).status_code == 204
    assert system.client.head(place, headers=TUS).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Upload-Length": "-1"}, 422),
        ({"Upload-Length": "9" * 18}, 413),
        ({"Upload-Length": "5", "Upload-Metadata": "filename %%%"}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": "a " + "A" * 5000}, 422),
    ],
)
def test_an_upload_that_cannot_be_is_not_begun(
    system: System, headers: dict[str, str], status: int
) -> None:
    assert system.client.post(RESUMABLE, headers={**TUS, **headers}).status_code == status


def test_a_file_that_is_no_media_fails_with_its_reason(system: System) -> None:
    place = begin(system, 1000)
    assert add(system, place, 0, b"n" * 1000).status_code == 204
    upload = checked(system, place)
    assert upload["state"] == "failed"
    assert upload["error"]["code"] in ("not_media", "corrupt_media")  # type: ignore[index]


def test_two_senders_never_write_at_once(system: System, film: bytes) -> None:
    place = begin(system, len(film))
    host, port = system.url.removeprefix("http://").split(":")
    lines = [f"PATCH {place} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(film)}"]
    lines += [f"{name}: {value}" for name, value in {**PIECE, "Upload-Offset": "0"}.items()]
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + film[:10])
        time.sleep(0.5)
        busy = add(system, place, 0, film)
        assert (busy.status_code, busy.json()["code"]) == (423, "upload_busy")
        connection.sendall(film[10:])
        assert connection.recv(12) == b"HTTP/1.1 204"
    assert checked(system, place)["sha256"] == hashlib.sha256(film).hexdigest()


def test_very_many_unfinished_uploads_of_one_caller_are_refused(
    system: System,
) -> None:
    places: list[str] = []
    try:
        while len(places) <= MOST_ON_THEIR_WAY:
            answer = system.client.post(RESUMABLE, headers={**TUS, "Upload-Length": "9"})
            if answer.status_code != 201:
                break
            places.append(answer.headers["location"])
        assert answer.status_code == 503
        assert "delete some" in answer.json()["detail"]
    finally:
        for place in places:
            assert system.client.delete(place, headers=TUS).status_code == 204


def test_a_file_that_was_whole_when_the_queue_was_full_is_taken_later(
    tmp_path: Path, film: bytes
) -> None:
    with System(tmp_path / "full", workers=0, max_queued_jobs="1") as full:
        waiting = full.submit(kind="extract", source={"url": "https://example.org/x"})
        place = begin(full, len(film))
        refused = add(full, place, 0, film)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        assert full.client.head(place, headers=TUS).status_code == 503
        assert offset_on_disk(full, place) == len(film)
        full.client.post(waiting["links"]["cancel"]).raise_for_status()
        assert offset_of(full, place) == len(film)  # which also asks for its check
        full.start_worker()
        assert checked(full, place)["state"] == "succeeded"


def test_a_public_client_sends_a_file(system: System, film: bytes) -> None:
    sender = TusClient(system.url + RESUMABLE).uploader(
        file_stream=BytesIO(film), chunk_size=len(film) // 5, metadata={"filename": "mine.mp4"}
    )
    sender.upload()
    place = urlsplit(sender.url).path
    done = checked(system, place)
    assert done["sha256"] == hashlib.sha256(film).hexdigest()
    assert done["filename"] == "mine.mp4"
