"""One round: a batch of encodes by a system that was just started in a box."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import cpu_seconds
from clipmill.client.answers import Job
from clipmill.demo.site import running_site
from config.memory import STACK_BYTES, default_budget_bytes
from tests.support.box.group import Box, small_box
from tests.support.box.jobs import most_at_once
from tests.support.box.system import BoxedSystem, boxed_system
from tests.support.box.watch import BoxWatch

TIMEOUT_SECONDS = 900.0
PRESSURE = Path("/proc/pressure/memory")
DISK = Path("/var/tmp")  # /tmp may be in memory, which would count as memory


@dataclass(frozen=True)
class Round:
    """The figures of one round. Without a box the kernel's figures are 0."""

    boxed: bool
    budget_bytes: int
    wall_seconds: float
    cpu_seconds: float
    stalled_seconds: float
    most_at_once: int
    peak_bytes: int
    kernel_peak_bytes: int
    killed: int


def run_round(limit_bytes: int, source: Path, clips: int, clip_seconds: float) -> Round:
    """From the submission of all clips, of a source downloaded before, to the last clip's end."""
    budget = default_budget_bytes(limit_bytes, STACK_BYTES)
    with (
        running_site(source) as page,
        small_box(limit_bytes) as box,
        tempfile.TemporaryDirectory(prefix="clipmill-bench-", dir=DISK) as name,
        # Without a box the system cannot read the limit by itself.
        boxed_system(box, Path(name), **({} if box else {"MEMORY_BUDGET": str(budget)})) as system,
        BoxWatch(system, box) as watch,
    ):
        download = system.client.wait(system.client.submit("download", page).id, check=True)
        cpu, stalled, began = cpu_seconds(), stalled_seconds(), time.monotonic()
        jobs = encode(system, download.id, clips, clip_seconds)
        wall = time.monotonic() - began
        cpu, stalled = cpu_seconds() - cpu, stalled_seconds() - stalled
        return Round(
            boxed=box is not None,
            budget_bytes=budget,
            wall_seconds=wall,
            cpu_seconds=cpu,
            stalled_seconds=stalled,
            most_at_once=most_at_once(jobs),
            peak_bytes=watch.peak_bytes,
            kernel_peak_bytes=box.peak_bytes() if box else 0,
            killed=killed(box, jobs),
        )


def encode(system: BoxedSystem, source_id: str, clips: int, clip_seconds: float) -> list[Job]:
    """All clips, which overlap: only their number and length matter. Raises when one fails."""
    starts = [1.0 + number / 25 for number in range(clips)]
    batch = system.client.submit_batch(
        [{"start": start, "end": start + clip_seconds} for start in starts],
        {
            "kind": "clip",
            "source": {"job_id": source_id},
            "mode": "encode",
            "output": {"quality": "draft"},
        },
    )
    jobs = list(system.client.wait_batch(batch.id, timeout_seconds=TIMEOUT_SECONDS).jobs)
    if faults := [job.error for job in jobs if not job.succeeded]:
        raise RuntimeError(f"{len(faults)} of {len(jobs)} clips failed: {faults[0]}")
    return jobs


def stalled_seconds() -> float:
    """How long this machine's processes have waited for memory so far; 0 where not counted."""
    if not PRESSURE.exists():
        return 0.0
    # some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS
    return int(PRESSURE.read_text().splitlines()[0].rpartition("=")[2]) / 1e6


def killed(box: Box | None, jobs: Sequence[Job]) -> int:
    """Attempts and processes that ended for lack of memory."""
    return sum(job.attempt - 1 for job in jobs) + (box.killed() if box else 0)
