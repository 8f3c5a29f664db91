"""From a request to a file: each kind of job through the real system."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.media import Video, cached_video, frame_numbers
from tests.support.origin import Origin, answers
from tests.support.system import System

TEN_SECONDS = Video(seconds=10.0, keyframe_seconds=2.0)


@pytest.fixture
def source(origin: Origin, media_folder: Path) -> str:
    """The address of a ten-second video of 250 frames."""
    return origin.add("/video.mp4", answers.file(cached_video(media_folder, TEN_SECONDS)))


def fetched(system: System, job: dict[str, Any], folder: Path, role: str = "main") -> Path:
    """The artifact of a job, read through the API."""
    artifact = next(item for item in job["result"]["artifacts"] if item["role"] == role)
    answer = system.client.get(artifact["url"])
    assert answer.status_code == 200
    assert len(answer.content) == artifact["size_bytes"]
    assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]
    path = folder / f"{artifact['id']}{Path(artifact['name']).suffix}"
    path.write_bytes(answer.content)
    return path


def test_an_extract_tells_what_a_page_holds(
    system: System, origin: Origin, media_folder: Path
) -> None:
    origin.add("/media.mp4", answers.file(cached_video(media_folder, TEN_SECONDS)))
    page = origin.add("/page", answers.page("A title & more", origin.url("/media.mp4")))
    job = system.until(system.submit(kind="extract", source={"url": page})["id"])
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["info"]["title"] == "A title & more"
    assert job["result"]["info"]["formats"]


def test_t08_long_metadata_are_a_file_and_the_record_stays_small(
    system: System, origin: Origin, tmp_path: Path
) -> None:
    links = [origin.url(f"/{number}.mp4?{'x' * 2000}") for number in range(200)]
    feed = origin.add("/feed", answers.rss("A feed", links))
    spec = {"kind": "extract", "source": {"url": feed}, "playlist_items": 200}
    job = system.until(system.submit(**spec)["id"])
    assert job["state"] == "succeeded", job["error"]
    info = job["result"]["info"]
    assert 0 < len(info["entries"]) < 200
    assert len(json.dumps(info)) <= 16 * 1024
    assert f"entries: {len(info['entries'])} of 200" in job["result"]["warnings"][0]
    whole = json.loads(fetched(system, job, tmp_path, role="metadata").read_bytes())
    assert len(whole["entries"]) == 200
    assert whole["entries"][: len(info["entries"])] == info["entries"]
    assert job["result"]["artifacts"][0]["media_type"] == "application/json"


def test_a_download_delivers_the_bytes_of_its_source(
    system: System, source: str, media_folder: Path, tmp_path: Path
) -> None:
    job = system.until(system.submit(kind="download", source={"url": source})["id"])
    assert job["state"] == "succeeded", job["error"]
    path = fetched(system, job, tmp_path)
    assert frame_numbers(path) == list(range(250))
    assert job["result"]["source"]["extractor"] == "generic"
    assert job["progress"] == 1.0


@pytest.mark.parametrize("mode", ["encode", "auto"])
def test_a_clip_without_an_end_goes_to_the_end_of_the_media(
    system: System, source: str, tmp_path: Path, mode: str
) -> None:
    asked = {"kind": "clip", "source": {"url": source}, "start": "0:07", "mode": mode}
    job = system.until(system.submit(**asked)["id"])
    assert job["state"] == "succeeded", job["error"]
    assert frame_numbers(fetched(system, job, tmp_path)) == list(range(175, 250))
    assert (job["spec"]["end"], job["result"]["requested_end"]) == (None, 10.0)
    assert job["result"]["warnings"] == []


@pytest.mark.parametrize("mode", ["encode", "auto", "smart"])
def test_a_clip_holds_exactly_the_frames_of_its_range(
    system: System, source: str, tmp_path: Path, mode: str
) -> None:
    body = {"kind": "clip", "source": {"url": source}, "start": 2.5, "end": "00:00:05.300"}
    job = system.until(system.submit(**body, mode=mode)["id"])
    assert job["state"] == "succeeded", job["error"]
    expected = [n for n in range(250) if 2.5 - 0.0005 <= n / 25 < 5.3 - 0.0005]
    assert frame_numbers(fetched(system, job, tmp_path)) == expected
    assert job["result"]["frames"] == len(expected)
    assert job["result"]["mode"] in {mode, "smart"}


def test_a_copied_clip_starts_at_the_keyframe_before_and_says_so(
    system: System, source: str, tmp_path: Path
) -> None:
    body = {"kind": "clip", "source": {"url": source}, "start": 5.0, "end": 7.0, "mode": "copy"}
    job = system.until(system.submit(**body)["id"])
    assert job["state"] == "succeeded", job["error"]
    assert frame_numbers(fetched(system, job, tmp_path))[0] == 100
    assert job["result"]["actual_start"] == pytest.approx(4.0, abs=0.01)
    assert job["result"]["frames_encoded"] == 0


@pytest.mark.parametrize("start", [3.9, 4.0, 4.05, 4.1])
def test_a_copy_of_matroska_tells_the_keyframe_it_begins_with(
    system: System, origin: Origin, media_folder: Path, tmp_path: Path, start: float
) -> None:
    video = Video(seconds=10.0, keyframe_seconds=2.0, suffix=".mkv")
    url = origin.add("/video.mkv", answers.file(cached_video(media_folder, video)))
    source = system.until(
        system.submit(kind="download", source={"url": url}, container="mkv")["id"]
    )
    body = {"kind": "clip", "source": {"job_id": source["id"]}, "start": start, "end": 7.0}
    job = system.until(system.submit(**body, mode="copy")["id"])
    assert job["state"] == "succeeded", job["error"]
    first = frame_numbers(fetched(system, job, tmp_path))[0]
    assert first % 50 == 0
    assert job["result"]["actual_start"] == pytest.approx(first / 25, abs=0.01)
    assert job["result"]["actual_start"] <= start + 0.001


def test_a_clip_can_come_with_a_thumbnail(system: System, source: str, tmp_path: Path) -> None:
    body = {"kind": "clip", "source": {"url": source}, "start": 1, "end": 3}
    job = system.until(system.submit(**body, output={"thumbnail": True})["id"])
    assert job["state"] == "succeeded", job["error"]
    picture = fetched(system, job, tmp_path, role="thumbnail")
    with av.open(str(picture)) as container:
        assert container.streams.video[0].width == 320


def test_twelve_clips_of_one_url_share_one_download(
    system: System, origin: Origin, source: str
) -> None:
    ranges = [{"start": n * 0.7, "end": n * 0.7 + 0.6} for n in range(12)]
    batch = system.submit_batch(*ranges, kind="clip", source={"url": source})
    final = system.batch_until_final(batch["id"])
    assert final["state"] == "succeeded", final
    assert final["counts"]["succeeded"] == 12
    assert final["progress"] == pytest.approx(1.0)
    assert {job["depends_on"] for job in final["jobs"]} == {final["jobs"][0]["depends_on"]}


def test_the_same_clip_asked_again_is_answered_from_storage(system: System, source: str) -> None:
    body = {"kind": "clip", "source": {"url": source}, "start": 1.5, "end": 2.5}
    first = system.until(system.submit(**body)["id"])
    again = system.until(system.submit(**body)["id"])
    assert again["state"] == "succeeded"
    assert again["result"]["artifacts"] == first["result"]["artifacts"]
    assert again["id"] != first["id"]


def test_an_artifact_lives_until_the_last_job_that_shows_it_is_deleted(
    system: System, source: str
) -> None:
    body = {"kind": "clip", "source": {"url": source}, "start": 3.5, "end": 4.5}
    first = system.until(system.submit(**body)["id"])
    again = system.until(system.submit(**body)["id"])
    url = first["result"]["artifacts"][0]["url"]
    assert system.client.delete(f"/api/v2/jobs/{first['id']}").status_code == 204
    assert system.client.get(url).status_code == 200
    assert system.client.delete(f"/api/v2/jobs/{again['id']}").status_code == 204
    assert system.client.get(url).status_code == 404


def test_the_same_download_asked_twice_is_fetched_once(
    system: System, origin: Origin, media_folder: Path
) -> None:
    video = cached_video(media_folder, TEN_SECONDS)
    url = origin.add("/slow.mp4", answers.slow(video, bytes_per_second=600_000))
    jobs = [system.submit(kind="download", source={"url": url})["id"] for _ in range(4)]
    ended = [system.until(job_id) for job_id in jobs]
    assert [job["state"] for job in ended] == ["succeeded"] * 4
    assert [job["result"]["deduplicated"] for job in ended] == [False, True, True, True]
    alone = origin.requests("/slow.mp4")
    other = origin.add("/other.mp4", answers.slow(video, bytes_per_second=600_000))
    system.until(system.submit(kind="download", source={"url": other})["id"])
    assert alone == origin.requests("/other.mp4")


def test_a_clip_of_a_finished_download_takes_its_artifact(system: System, source: str) -> None:
    download = system.until(system.submit(kind="download", source={"url": source})["id"])
    clip = system.submit(kind="clip", source={"job_id": download["id"]}, start=0, end=1)
    assert system.until(clip["id"])["result"]["frames"] == 25


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answers.status(404), "unavailable"),
        (answers.status(403), "unavailable"),
        (answers.content(b"#!/bin/sh\necho no\n" * 500, "video/mp4"), "not_media"),
        (answers.content(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "video/mp4"), None),
    ],
    ids=["404", "403", "a script named mp4", "a playlist named mp4"],
)
def test_a_bad_source_fails_the_clip_with_a_reason(
    system: System, origin: Origin, answer: answers.Answer, code: str | None
) -> None:
    url = origin.add("/bad.mp4", answer)
    job = system.until(
        system.submit(kind="clip", source={"url": url}, start=0, end=1)["id"], within_seconds=150
    )
    assert job["state"] == "failed"
    assert job["error"]["code"] == "source_failed"
    download = system.job(job["depends_on"])
    assert code is None or download["error"]["code"] == code
    assert str(system.data) not in system.client.get(f"/api/v2/jobs/{download['id']}").text


def test_a_range_past_the_end_fails_and_one_across_it_is_clamped(
    system: System, source: str
) -> None:
    past = system.submit(kind="clip", source={"url": source}, start=60, end=70)
    across = system.submit(kind="clip", source={"url": source}, start=9, end=70)
    assert system.until(past["id"])["error"]["code"] == "range_outside_media"
    clamped = system.until(across["id"])
    assert clamped["result"]["frames"] == 25
    assert clamped["result"]["warnings"]


def test_a_source_without_pictures_gives_a_clip_of_its_sound(
    system: System, origin: Origin, media_folder: Path
) -> None:
    sound = cached_video(media_folder, Video(seconds=5, video=None, suffix=".m4a"))
    url = origin.add("/sound.m4a", answers.file(sound))
    job = system.until(
        system.submit(
            kind="clip", source={"url": url}, start=1, end=3, output={"container": "m4a"}
        )["id"]
    )
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["artifacts"][0]["duration_seconds"] == pytest.approx(2.0, abs=0.1)


def test_a_hostile_title_becomes_text_and_a_harmless_name(
    system: System, origin: Origin, media_folder: Path
) -> None:
    title = '<script>alert(1)</script> ../../etc/passwd \u202e "x"' + "é😀" * 400
    origin.add("/media.mp4", answers.file(cached_video(media_folder, TEN_SECONDS)))
    page = origin.add("/page", answers.page(title, origin.url("/media.mp4")))
    job = system.until(system.submit(kind="download", source={"url": page})["id"])
    assert job["state"] == "succeeded", job["error"]
    name = job["result"]["artifacts"][0]["name"]
    assert not set(name) & set('/\\<>"\u202e')
    assert len(name) < 140
    answer = system.client.head(job["result"]["artifacts"][0]["url"])
    assert answer.headers.get_list("content-disposition") == [answer.headers["content-disposition"]]
