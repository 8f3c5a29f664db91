"""The whole system on a machine of 512 MiB: the kernel counts, and has nobody to kill.

The group holds supervisor, broker, API, worker and all media tools; the origin and this test are
outside of it. Files that are read and written count as well, as page cache, so the limit may be
met: the kernel then drops them. What counts is that nobody had to be killed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clipmill.client.answers import Job
from config.machine import cpu_count
from config.memory import STACK_BYTES, default_budget_bytes
from tests.support.box.group import Box
from tests.support.box.jobs import most_at_once
from tests.support.box.system import BoxedSystem, boxed_system
from tests.support.box.watch import BoxWatch, role_of
from tests.support.loopback import LOOPBACK
from tests.support.media import Video, cached_video
from tests.support.needs import kernel_box
from tests.support.origin import Origin, answers
from tests.support.scales import Scales

MIB = 1024**2
LIMIT = 512 * MIB
BUDGET = default_budget_bytes(LIMIT, STACK_BYTES)
FAST = ("-preset", "ultrafast")
SOURCES = {
    "360": Video(5.0, 640, 360),
    "720": Video(5.0, 1280, 720, options=FAST),
    "1080": Video(5.0, 1920, 1080, options=FAST),
    "2160": Video(4.0, 3840, 2160, options=FAST),
    "hevc": Video(
        4.0, 1920, 1080, video="libx265", options=(*FAST, "-x265-params", "log-level=none")
    ),
    "vp9": Video(
        4.0, 1280, 720, video="libvpx-vp9", audio="libopus", suffix=".webm",
        options=("-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M"),
    ),
}  # fmt: skip
PICTURE: dict[str, Any] = {"thumbnail": True}
# Source, mode, output; the last ones are of a kind that fits only with leaner settings, if at all.
CLIPS: list[tuple[str, str, dict[str, Any]]] = [
    ("2160", "encode", {"quality": "draft"}),
    ("360", "copy", {}),
    ("720", "encode", {"quality": "draft"} | PICTURE),
    ("1080", "encode", {"quality": "high"}),
    ("2160", "smart", PICTURE),
    ("360", "encode", {"quality": "standard"}),
    ("1080", "auto", {}),
    ("hevc", "auto", PICTURE),
    ("720", "encode", {"quality": "standard"}),
    ("2160", "copy", PICTURE),
    ("360", "encode", {"container": "gif", "width": 320}),
    ("1080", "encode", {"quality": "standard"} | PICTURE),
    ("vp9", "auto", {"container": "webm"}),
    ("2160", "encode", {"quality": "standard", "width": 1280}),
    ("360", "auto", {"container": "m4a"}),
    ("720", "encode", {"quality": "high"}),
    ("1080", "smart", {"quality": "high"}),
    ("hevc", "encode", {"quality": "draft"}),
    ("2160", "auto", {}),
    ("720", "encode", {"container": "webm", "quality": "draft"}),
    ("1080", "copy", PICTURE),
    ("720", "smart", {}),
    ("vp9", "encode", {"container": "mp4"}),
    ("360", "smart", PICTURE),
    ("2160", "encode", {"container": "gif", "width": 480}),
    ("1080", "encode", {"container": "webm", "width": 960, "quality": "draft"}),
    ("720", "auto", {"container": "m4a"}),
    ("1080", "encode", {"container": "mp4", "fps": 10}),
]
TOO_LARGE = ("2160", "encode", {"quality": "high"})
DRAFTS = 4  # encodes of 1080p that come alone, so that nothing else takes their cores


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on a real disk: /tmp may be in memory, which would count as memory."""
    with tempfile.TemporaryDirectory(prefix="clipmill-test-", dir="/var/tmp") as name:
        yield Path(name)


@pytest.fixture
def urls(origin: Origin, media_folder: Path) -> dict[str, str]:
    """The address of each source."""
    with ThreadPoolExecutor(2) as pool:
        files = pool.map(lambda wanted: cached_video(media_folder, wanted), SOURCES.values())
        paths = dict(zip(SOURCES, files, strict=True))
    return {name: origin.add(f"/{name}", answers.file(path)) for name, path in paths.items()}


@pytest.mark.timeout(600)
def test_forty_mixed_jobs_end_in_half_a_gigabyte_and_nothing_is_killed(
    disk: Path, urls: dict[str, str]
) -> None:
    with kernel_box(LIMIT) as box:
        # Where no group can be made, the system could not find the limit by itself.
        told = {} if box else {"MEMORY_BUDGET": str(BUDGET)}
        with (
            boxed_system(box, disk, **told) as system,
            BoxWatch(system, box) as watch,
            Scales(worker_of(system)) as scales,
        ):
            assert budget_of(system) == BUDGET
            mixed = run(system, mixed_jobs(urls))
            drafts = run(system, [clip(urls, "1080", "encode", n, {}) for n in range(DRAFTS)])
            retried = [again for job in mixed[:-1] + drafts for again in retries(system, job)]
            waits = {wait for job in mixed for wait in waited_for(system, job)}
        report(box, watch, scales, [*mixed, *drafts])
        assert len([*mixed, *drafts]) == 40
        assert [told_of(job) for job in mixed[:-1] + drafts if not job.succeeded] == []
        assert_lean_or_refused_early(mixed[-1])
        # Not one was stopped for the memory it took, and tried again.
        assert retried == []
        assert most_at_once(drafts) >= min(2, cpu_count())
        assert "memory" in waits
        scales.check(BUDGET)
        # With a box this is the kernel's own doing, as is its peak, which is told and not asked:
        # it lets nobody beyond the limit. That nobody had to be killed or stopped for it is ours.
        assert watch.peak_bytes <= LIMIT
        if box:
            assert box.killed() == 0


def mixed_jobs(urls: dict[str, str]) -> list[dict[str, Any]]:
    """Clips with downloads and extracts between them; the one that is too large comes last."""
    jobs = [clip(urls, *wanted[:2], n, wanted[2]) for n, wanted in enumerate(CLIPS)]
    for n, name in enumerate(("360", "1080", "2160")):
        # By an address of its own: the clips' own downloads are done for the other one.
        again = {"url": f"{urls[name]}?again"}
        jobs.insert(5 * n, {"kind": "download", "source": again})
    for n, name in enumerate(("720", "1080", "2160", "vp9")):
        jobs.insert(7 * n + 2, {"kind": "extract", "source": {"url": urls[name]}})
    return [*jobs, clip(urls, *TOO_LARGE[:2], 0, TOO_LARGE[2])]


def clip(
    urls: dict[str, str], source: str, mode: str, number: int, output: dict[str, Any]
) -> dict[str, Any]:
    """A clip of 55 pictures, more than any encoder looks ahead, at a time of its own."""
    start = round(0.1 + number / 100, 3)
    return {
        "kind": "clip", "source": {"url": urls[source]}, "mode": mode, "start": start,
        "end": round(start + 2.2, 3), "output": {"quality": "draft"} | output,
    }  # fmt: skip


def run(system: BoxedSystem, jobs: list[dict[str, Any]]) -> list[Job]:
    """All at once, to their end; in the order in which they were asked for."""
    batch = system.client.submit_batch(jobs)
    return list(system.client.wait_batch(batch.id, timeout_seconds=240).jobs)


def budget_of(system: BoxedSystem) -> int:
    """The budget that the worker took for itself."""
    answer = httpx2.get(f"{system.url}/api/v2/system/bottleneck", **LOOPBACK)
    return int(answer.json()["evidence"]["memory_budget_bytes"])


def worker_of(system: BoxedSystem) -> int:
    """The process of its worker."""
    return next(it.pid for it in system.processes() if role_of(it) == "worker")


def timeline(system: BoxedSystem, job: Job) -> list[dict[str, Any]]:
    """The story of a job."""
    told = httpx2.get(f"{system.url}/api/v2/jobs/{job.id}/timeline", **LOOPBACK).json()
    return list(told["events"])


def waited_for(system: BoxedSystem, job: Job) -> set[str]:
    """What a job has waited for."""
    return {it["wait_reason"] for it in timeline(system, job) if it["event"] == "waiting"}


def retries(system: BoxedSystem, job: Job) -> list[dict[str, Any]]:
    """What a job's timeline tells of attempts that were not the last."""
    if job.attempt < 2:
        return []
    return [{"output": job.spec["output"], **event} for event in timeline(system, job)]


def assert_lean_or_refused_early(job: Job) -> None:
    """A clip whose usual settings need more than the budget."""
    if job.succeeded:
        assert job.result["peak_memory_bytes"] <= BUDGET
        return
    assert job.error is not None
    assert job.error.code == "exceeds_memory_budget"
    assert job.error.detail["need_bytes"] > job.error.detail["budget_bytes"] == BUDGET
    assert job.document["started_at"] is None


def told_of(job: Job) -> tuple[Any, ...]:
    return job.state, job.error, job.spec.get("mode"), job.spec.get("output")


def report(box: Box | None, watch: BoxWatch, scales: Scales, jobs: list[Job]) -> None:
    """The figures, for who reads the output (`pytest -s`)."""
    if box:
        print(
            f"\nkernel's peak {box.peak_bytes() / MIB:.1f} MiB of {LIMIT // MIB}, killed "
            f"{box.killed()}, held at most {watch.held_bytes / MIB:.1f} MiB"
        )
    print(
        f"worker and media processes {scales.most_bytes / MIB:.1f} MiB of {BUDGET // MIB}, "
        f"longest blind spot {scales.longest_blind_seconds():.2f} s"
    )
    print(f"largest sum of all processes {watch.peak_bytes / MIB:.1f} MiB:")
    for role, size in watch.split.most_common():
        print(f"  {role:15} {size / MIB:6.1f}")
    for job in jobs:
        result = job.result
        print(
            f"  {job.kind:9}{job.spec.get('mode', ''):7}{job.state:10}attempt {job.attempt} "
            f"peak {(result.get('peak_memory_bytes') or 0) / MIB:6.1f} MiB "
            f"{job.run_seconds or 0:5.2f} s {job.error or ''}"
        )
