"""Ranges at and beyond every edge, and sources that change under a clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.system import System

FOUR_SECONDS = Video(seconds=4.0)


@pytest.fixture
def download(system: System, origin: Origin, media_folder: Path) -> dict[str, Any]:
    """A finished download of a hundred frames, 25 a second."""
    url = origin.add("/video.mp4", answers.file(cached_video(media_folder, FOUR_SECONDS)))
    job = system.until(system.submit(kind="download", source={"url": url})["id"])
    assert job["state"] == "succeeded", job["error"]
    return job


def clip(
    system: System, download: dict[str, Any], start: Any, end: Any, **more: Any
) -> dict[str, Any]:
    """A final clip of the download."""
    body = {"kind": "clip", "source": {"job_id": download["id"]}, "start": start, "end": end}
    return system.until(system.submit(**body, **more)["id"])


@pytest.mark.parametrize("mode", ["auto", "encode"])
def test_one_frame_can_be_cut(system: System, download: dict[str, Any], mode: str) -> None:
    job = clip(system, download, 1.0, 1.04, mode=mode)
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["frames"] == 1


@pytest.mark.parametrize("mode", ["auto", "encode"])
def test_a_range_between_two_frames_shows_the_one_on_display(
    system: System, download: dict[str, Any], mode: str
) -> None:
    job = clip(system, download, 1.001, 1.011, mode=mode)
    assert job["result"]["frames"] == 1
    assert job["result"]["actual_start"] == 1.001


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_a_start_past_the_end_fails_and_an_end_past_it_is_moved(
    system: System, download: dict[str, Any], mode: str
) -> None:
    past = clip(system, download, 4.5, 6, mode=mode)
    assert past["error"]["code"] == "range_outside_media"
    across = clip(system, download, 3, 3600, mode=mode)
    assert across["state"] == "succeeded", across["error"]
    assert across["result"]["frames"] == 25
    assert across["result"]["warnings"]


@pytest.mark.parametrize(
    ("start", "end"),
    [(2, 1), (1, 1), (-1, 1), ("00:61:00", 4000), ("x", 2), (None, 2), (0, 1e400), (True, 2)],
)
def test_a_range_that_is_none_is_refused_at_the_door(
    system: System, download: dict[str, Any], start: Any, end: Any
) -> None:
    source = {"job_id": download["id"]}
    body = {"kind": "clip", "source": source, "start": start, "end": end}
    text = json.dumps(body)
    answer = system.client.post(
        "/api/v2/jobs", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def stored(system: System, job: dict[str, Any]) -> Path:
    """The file in storage behind a job's artifact."""
    artifact_id = job["result"]["artifacts"][0]["id"]
    (path,) = (system.data / "artifacts").rglob(f"{artifact_id}.*")
    return path


def test_a_source_that_was_removed_or_replaced_after_its_probe_fails_the_clip(
    system: System, download: dict[str, Any], media_folder: Path
) -> None:
    path = stored(system, download)
    kept = path.read_bytes()
    path.write_bytes(cached_video(media_folder, Video(seconds=2.0)).read_bytes())
    assert clip(system, download, 0.1, 1)["error"]["code"] == "source_failed"
    path.unlink()
    assert clip(system, download, 0.2, 1)["error"]["code"] == "source_failed"
    path.write_bytes(kept)
    assert clip(system, download, 0.3, 1)["state"] == "succeeded"
