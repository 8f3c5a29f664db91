"""Artifacts on a disk of their own, as the page on deployment advises: one that is full is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System
from tests.support.volumes import Volume, small_volume

SHORT = Video(seconds=3.0, keyframe_seconds=1.0)
MIB = 1024**2
FLOOR_BYTES = 10 * MIB  # what every system of the tests keeps free


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with small_volume(tmp_path / "artifacts", "40m") as volume:
        yield volume


@pytest.fixture
def system(tmp_path: Path, volume: Volume) -> Iterator[System]:
    with System(tmp_path / "system", storage_url=f"file://{volume.path}") as system:
        yield system


def free_bytes(system: System) -> dict[str, float]:
    """What /metrics tells of each disk."""
    text = system.client.get("/metrics").text
    return {
        sample.labels["disk"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "clipmill_disk_free_bytes"
    }


def limit(system: System) -> str:
    return str(system.client.get("/api/v2/system/bottleneck").json()["limit"])


def test_a_full_disk_of_artifacts_is_told_and_nothing_starts_until_it_has_room(
    system: System, volume: Volume, origin: Origin, media_folder: Path
) -> None:
    assert eventually(
        lambda: set(free_bytes(system)) == {"work", "storage"}, 20, every_seconds=0.25
    )
    assert FLOOR_BYTES < free_bytes(system)["storage"] <= 40 * MIB
    assert limit(system) == "nothing"

    ballast = volume.fill(leave_bytes=MIB)
    assert eventually(lambda: limit(system) == "disk", 20, every_seconds=0.25)
    told = free_bytes(system)
    assert told["storage"] < FLOOR_BYTES < told["work"]
    evidence = system.client.get("/api/v2/system/bottleneck").json()["evidence"]
    assert evidence["disk_free_bytes"] == told["storage"]
    url = origin.add("/video.mp4", answers.file(cached_video(media_folder, SHORT)))
    job_id = system.submit(kind="download", source={"url": url})["id"]
    job = system.until(job_id, lambda job: job["wait_reason"] == "disk" or job["error"])
    assert (job["state"], job["attempt"]) == ("queued", 0), job

    ballast.unlink()
    assert system.until(job_id)["state"] == "succeeded"
    assert eventually(lambda: limit(system) == "nothing", 20, every_seconds=0.25)
