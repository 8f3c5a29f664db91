"""What limits throughput is named while it does, on a system that really is so limited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System

LONG = Video(seconds=20.0, width=1920, height=1080, fps="12", audio=None)


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[System]:
    """Room for four small encoders, or for one of 1080p."""
    with System(tmp_path / "system", memory_budget="400MiB", worker_concurrency="4") as running:
        yield running


def bottleneck(system: System) -> dict[str, Any]:
    answer = system.client.get("/api/v2/system/bottleneck")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def named(system: System, limit: str, within_seconds: float = 60) -> dict[str, Any]:
    """The answer once it names this limit."""
    # A worker reports every two seconds; asked all the time, the API would be what limits.
    assert eventually(
        lambda: bottleneck(system)["limit"] == limit, within_seconds, every_seconds=0.25
    ), bottleneck(system)
    return bottleneck(system)


def encodes(system: System, url: str, count: int, **output: Any) -> str:
    """A batch of long encodes, each of its own range."""
    jobs = [{"start": number / 10, "end": 20} for number in range(count)]
    defaults = {"kind": "clip", "source": {"url": url}, "mode": "encode", "output": output}
    return str(system.submit_batch(*jobs, **defaults)["id"])


def test_idle_cores_and_memory_are_told_apart(
    tight: System, origin: Origin, media_folder: Path
) -> None:
    idle = named(tight, "nothing")
    assert idle["since"].endswith("Z")
    assert idle["evidence"]["workers"] == 1
    url = origin.add("/long.mp4", answers.file(cached_video(media_folder, LONG)))
    tight.until(tight.submit(kind="download", source={"url": url})["id"])

    small = encodes(tight, url, 4, quality="high", width=640)
    busy = named(tight, "cpu")
    assert busy["since"] > idle["since"]
    assert busy["evidence"]["cpu_percent"] >= 85
    assert busy["evidence"]["jobs_waiting_for_memory"] == 0
    tight.client.post(f"/api/v2/batches/{small}/cancel")
    tight.batch_until_final(small)

    large = encodes(tight, url, 6, quality="high")
    full = named(tight, "memory")
    evidence = full["evidence"]
    assert evidence["jobs_waiting_for_memory"] > 0
    assert evidence["memory_reserved_bytes"] <= evidence["memory_budget_bytes"] == 400 * 1024**2
    assert "CLIPMILL_MEMORY_BUDGET" in full["advice"]
    tight.client.post(f"/api/v2/batches/{large}/cancel")
    tight.batch_until_final(large)
    named(tight, "nothing")
