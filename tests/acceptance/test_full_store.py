"""The disk of the embedded broker runs full: nothing is accepted that could be lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipmill.stack.services import running_stack
from config.settings import load_settings
from tests.support.volumes import Volume, small_volume

LONGEST_PAUSE_SECONDS = 30.0  # between two starts of a broker that ends at once


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """Eight MiB, where the broker keeps its data."""
    (tmp_path / "data").mkdir()
    with small_volume(tmp_path / "data" / "broker", "8m") as volume:
        yield volume


@pytest.fixture
def api(tmp_path: Path, volume: Volume) -> Iterator[httpx.Client]:
    """A whole stack on that disk; nobody serves extract jobs, so they stay."""
    values = {
        "PORT": "0",
        "DATA_DIR": str(tmp_path / "data"),
        "QUEUES": "clip",
        "MIN_FREE_DISK": "0",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    environ = {f"CLIPMILL_{name}": value for name, value in values.items()}
    with (
        running_stack(load_settings(environ), environ, log_folder=tmp_path) as stack,
        httpx.Client(base_url=stack.url, timeout=20, trust_env=False) as client,
    ):
        yield client


def submit(api: httpx.Client, number: int) -> httpx.Response:
    source = {"url": f"http://127.0.0.1:9/{number}"}
    return api.post("/api/v2/jobs", json={"kind": "extract", "source": source})


def test_a_full_disk_of_the_broker_refuses_jobs_and_loses_none(
    api: httpx.Client, volume: Volume
) -> None:
    accepted = [submit(api, number).json()["id"] for number in range(20)]
    ballast = volume.fill()
    for number in range(100, 110):
        answer = submit(api, number)
        if answer.status_code == 202:  # a few bytes were left
            accepted.append(answer.json()["id"])
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    assert answer.status_code == 503
    ballast.unlink()
    end = time.monotonic() + LONGEST_PAUSE_SECONDS + 10
    while (answer := submit(api, 1000)).status_code != 202:
        assert time.monotonic() < end
        time.sleep(0.2)
    jobs = [api.get(f"/api/v2/jobs/{job_id}") for job_id in accepted]
    assert [job.json()["state"] for job in jobs] == ["queued"] * len(accepted)
