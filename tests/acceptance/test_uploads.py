"""Files of one's own: sent, checked, cut."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.media import Video, cached_video
from tests.support.processes import eventually
from tests.support.system import System

UPLOADS, JOBS, BATCHES = "/api/v2/uploads", "/api/v2/jobs", "/api/v2/batches"


@pytest.fixture
def film(media_folder: Path) -> Path:
    return cached_video(media_folder, Video(seconds=4.0, keyframe_seconds=1.0))


def send(
    system: System, path: Path, name: str = "My film.mp4", part: str = "file"
) -> httpx2.Response:
    with path.open("rb") as file:
        return system.client.post(UPLOADS, files={part: (name, file)}, timeout=90)


def clip_of(upload_id: str, **more: Any) -> dict[str, Any]:
    return {"kind": "clip", "source": {"upload_id": upload_id}, "start": 1, "end": 2, **more}


def left_behind(system: System) -> list[str]:
    """What of uploads is in the data folder."""
    folder = system.data / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_sent_checked_and_cut(system: System, film: Path) -> None:
    sent = send(system, film, part="anything")
    assert sent.status_code == 201, sent.text
    upload = sent.json()
    assert upload["filename"] == "My film.mp4"
    assert upload["size_bytes"] == film.stat().st_size
    assert upload["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    assert upload["media"]["duration_seconds"] == pytest.approx(4.0, abs=0.1)
    assert upload["media"]["width"] > 0
    assert sent.headers["location"] == upload["links"]["self"]
    assert left_behind(system) == []
    assert system.client.get(upload["links"]["file"]).content == film.read_bytes()

    job = system.until(system.submit(**clip_of(upload["id"]))["id"])
    assert job["state"] == "succeeded", job
    assert job["depends_on"] == upload["id"]
    assert job["result"]["frames"] == 25
    assert job["result"]["artifacts"][0]["name"].startswith("My film")


def test_the_same_file_again_is_the_same_upload(system: System, film: Path) -> None:
    first, second = send(system, film).json(), send(system, film, name="other.mp4").json()
    assert first["id"] == second["id"]
    assert left_behind(system) == []


def test_uploads_are_listed_read_and_removed(system: System, film: Path) -> None:
    upload = send(system, film).json()
    listed = system.client.get(UPLOADS).json()["uploads"]
    assert upload["id"] in [it["id"] for it in listed]
    assert system.client.get(upload["links"]["self"]).json() == upload
    assert system.client.delete(upload["links"]["self"]).status_code == 204
    assert system.client.get(upload["links"]["self"]).status_code == 404
    assert system.client.get(upload["links"]["file"]).status_code == 404
    refused = system.client.post(JOBS, json=clip_of(upload["id"]))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/source/upload_id"
    again = send(system, film)
    assert again.status_code == 201
    assert again.json()["id"] != upload["id"]


def test_a_file_and_a_job_in_one_request(system: System, film: Path) -> None:
    request = {"kind": "clip", "start": "0:01", "end": 2, "mode": "copy"}
    with film.open("rb") as file:
        sent = system.client.post(
            JOBS, files={"file": ("a.mp4", file)}, data={"request": json.dumps(request)}
        )
    assert sent.status_code == 202, sent.text
    job = system.until(sent.json()["id"])
    assert job["state"] == "succeeded", job
    assert eventually(lambda: left_behind(system) == [] or sweep(system), 20)


def sweep(system: System) -> bool:
    """A further upload removes what the ones before have left."""
    system.client.post(UPLOADS, files={"file": ("x.txt", b"no media")}, timeout=90)
    return False


def test_a_file_and_a_batch_in_one_request_repeat_as_one(system: System, film: Path) -> None:
    request = {
        "defaults": {"kind": "clip", "mode": "copy"},
        "jobs": [{"start": 0, "end": 1}, {"start": 2, "end": 3}],
    }

    def ask() -> httpx2.Response:
        with film.open("rb") as file:
            return system.client.post(
                BATCHES, files={"file": ("a.mp4", file)}, data={"request": json.dumps(request)},
                headers={"Idempotency-Key": "one-shot"}, timeout=60,
            )  # fmt: skip

    first, second = ask(), ask()
    assert first.status_code == 202, first.text
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    batch = system.client.get(f"{BATCHES}/{first.json()['id']}?wait=60").json()
    assert batch["state"] == "succeeded"


def test_what_is_no_media_is_refused_and_leaves_nothing(system: System) -> None:
    sent = system.client.post(
        UPLOADS, files={"file": ("film.mp4", b"not a film" * 100)}, timeout=90
    )
    assert sent.status_code == 415, sent.text
    assert sent.json()["code"] == "unsupported_media"
    assert left_behind(system) == []
    names = [it["filename"] for it in system.client.get(UPLOADS).json()["uploads"]]
    assert "film.mp4" not in names


@pytest.mark.parametrize(
    ("path", "form", "status", "says"),
    [
        (UPLOADS, {"data": {"a": "b"}, "files": {}}, 415, "multipart"),
        (UPLOADS, {"files": {"request": (None, "{}")}}, 422, "no file"),
        (UPLOADS, {"files": [("a", ("a", b"1")), ("b", ("b", b"2"))]}, 422, "several"),
        (JOBS, {"files": {"a": ("a", b"1")}}, 422, "request"),
        (JOBS, {"files": {"a": ("a", b"1"), "request": (None, "{")}}, 400, ""),
        (JOBS, {"files": {"a": ("a", b"1"), "request": (None, "[]")}}, 422, "object"),
        (JOBS, {"files": {"a": ("a", b"1"), "request": (None, '{"source":{}}')}}, 422, "leave"),
        (JOBS, {"files": {"a": ("a", b"1"), "request": (None, '{"kind":"extract"}')}}, 422, "url"),
    ],
)
def test_a_form_that_is_wrong_says_so_and_leaves_nothing(
    system: System, path: str, form: dict[str, Any], status: int, says: str
) -> None:
    answer = system.client.post(path, **form)
    assert answer.status_code == status, answer.text
    assert says in answer.text
    assert left_behind(system) == []


def test_a_name_that_leads_elsewhere_is_a_name_only(system: System, film: Path) -> None:
    upload = send(system, film, name="../../etc/passwd\x00.mp4")
    assert upload.status_code == 201
    assert "/" not in upload.json()["filename"]


def test_one_request_sends_a_file_and_its_clip_comes_back(system: System, film: Path) -> None:
    request = {"kind": "clip", "start": 1, "end": 2, "output": {"filename": "Part"}}
    with film.open("rb") as file:
        answer = system.client.post(
            JOBS, files={"file": ("a.mp4", file)}, data={"request": json.dumps(request)},
            headers={"Prefer": "wait=60", "Accept": "video/*"}, follow_redirects=True,
        )  # fmt: skip
    assert answer.history[0].status_code == 303
    assert answer.history[0].headers["preference-applied"] == "wait=60"
    assert answer.headers["content-type"] == "video/mp4"
    assert "Part.mp4" in answer.headers["content-disposition"]
    assert answer.content[4:8] == b"ftyp"


def test_who_prefers_to_wait_gets_the_job_as_it_ended(system: System, film: Path) -> None:
    upload = send(system, film).json()
    headers = {"Prefer": "respond-async, wait=60", "Idempotency-Key": "waited"}
    for replayed in (False, True):
        answer = system.client.post(JOBS, json=clip_of(upload["id"], mode="copy"), headers=headers)
        assert answer.status_code == 200
        assert answer.json()["state"] == "succeeded"
        assert answer.headers["location"] == answer.json()["links"]["self"]
        assert ("idempotency-replayed" in answer.headers) is replayed


def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with System(tmp_path / "small", workers=0, max_upload_bytes="100KiB") as small:
        for size in (100 * 1024 + 1, 3 * 1024**2):
            answer = small.client.post(UPLOADS, files={"file": ("a.mp4", bytes(size))})
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
            assert left_behind(small) == []
