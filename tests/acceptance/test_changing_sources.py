"""An address under which another file appears from time to time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.system import System


def downloaded(system: System, url: str) -> dict[str, Any]:
    job = system.until(system.submit(kind="download", source={"url": url})["id"])
    assert job["state"] == "succeeded", job["error"]
    return job


def seconds_of(job: dict[str, Any]) -> int:
    return round(job["result"]["artifacts"][0]["duration_seconds"])


def test_what_is_asked_for_after_the_time_of_reuse_is_what_is_there_by_then(
    origin: Origin, media_folder: Path, tmp_path: Path
) -> None:
    with System(tmp_path / "s", reuse_downloads_for="0s") as system:
        url = origin.add("/latest.mp4", answers.file(cached_video(media_folder, Video(seconds=2))))
        assert seconds_of(downloaded(system, url)) == 2
        origin.add("/latest.mp4", answers.file(cached_video(media_folder, Video(seconds=4))))
        assert seconds_of(downloaded(system, url)) == 4
        body = {"kind": "clip", "source": {"url": url}, "start": 3, "end": 4, "mode": "copy"}
        clip = system.until(system.submit(**body)["id"])
        assert clip["state"] == "succeeded", clip["error"]
