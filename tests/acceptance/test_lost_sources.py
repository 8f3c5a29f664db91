"""A source that was fetched once and is lost: whoever asked for its URL gets it all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.records import new_id
from tests.support.system import System

SHORT = Video(seconds=4.0, keyframe_seconds=1.0)


@pytest.fixture
def source(origin: Origin, media_folder: Path) -> str:
    """The address of a video that no other test asks for."""
    return origin.add(f"/{new_id()}.mp4", answers.file(cached_video(media_folder, SHORT)))


def clip(system: System, url: str, start: float) -> dict[str, Any]:
    body = {"kind": "clip", "source": {"url": url}, "start": start, "end": start + 1}
    return system.submit(**body, mode="copy")


def cut(system: System, url: str, start: float) -> dict[str, Any]:
    """A clip that succeeded."""
    job = system.until(clip(system, url, start)["id"])
    assert job["state"] == "succeeded", job["error"]
    return job


def stored(system: System, job_id: str) -> Path:
    """The file of a job in storage."""
    artifact_id = system.job(job_id)["result"]["artifacts"][0]["id"]
    (path,) = (system.data / "artifacts").rglob(f"{artifact_id}.*")
    return path


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("lose", [Path.unlink, alter], ids=["removed", "altered"])
def test_clips_of_a_url_whose_file_is_lost_are_cut_after_one_more_download(
    system: System, source: str, lose: Callable[[Path], None]
) -> None:
    first = cut(system, source, 0)
    lose(stored(system, first["depends_on"]))
    healed = cut(system, source, 1)
    assert healed["depends_on"] != first["depends_on"]
    assert healed["attempt"] == 2
    assert system.job(healed["depends_on"])["result"]["deduplicated"] is False
    later = cut(system, source, 2)
    assert (later["depends_on"], later["attempt"]) == (healed["depends_on"], 1)


def test_a_batch_whose_file_is_lost_is_cut_after_one_more_download(
    system: System, source: str
) -> None:
    first = cut(system, source, 0)
    stored(system, first["depends_on"]).unlink()
    clips = [{"start": start, "end": start + 0.5} for start in (0.5, 1, 1.5, 2, 2.5, 3)]
    batch = system.submit_batch(*clips, kind="clip", source={"url": source}, mode="copy")
    ended = system.batch_until_final(batch["id"])
    assert ended["counts"]["succeeded"] == len(clips), ended["jobs"]
    downloads = {job["depends_on"] for job in ended["jobs"]}
    assert len(downloads) == 1
    assert downloads != {first["depends_on"]}


def test_a_download_whose_file_is_lost_is_done_anew(system: System, source: str) -> None:
    first = system.until(system.submit(kind="download", source={"url": source})["id"])
    stored(system, first["id"]).unlink()
    again = system.until(system.submit(kind="download", source={"url": source})["id"])
    assert again["state"] == "succeeded", again["error"]
    assert again["result"]["deduplicated"] is False
    assert cut(system, source, 1)["result"]["frames"] > 0


def test_a_clip_of_a_named_job_whose_file_is_lost_fails(system: System, source: str) -> None:
    download = system.until(system.submit(kind="download", source={"url": source})["id"])
    stored(system, download["id"]).unlink()
    body = {"kind": "clip", "source": {"job_id": download["id"]}, "start": 0, "end": 1}
    job = system.until(system.submit(**body)["id"])
    assert (job["state"], job["error"]["code"]) == ("failed", "source_failed")
