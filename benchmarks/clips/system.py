"""Clips by this system, through its API."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.clips.sizes import Range
from benchmarks.clips.ways import Attempt
from benchmarks.cost import measured
from benchmarks.stack import fresh_system
from clipmill.client import Client
from clipmill.client.answers import Batch, Job
from clipmill.demo.site import running_site

TIMEOUT_SECONDS = 900.0
CUTTING = "from the first clip's start"


def cut_by_fresh_system(source: Path, ranges: Sequence[Range], folder: Path) -> Attempt:
    """From the batch's submission to its end, in a stack that does not have the source: the page
    is read and the video downloaded first. Starting the stack and fetching the clips is left out.
    """
    with running_site(source) as page, fresh_system() as system:
        client = system.client
        batch, cost = measured(lambda: cut_batch(client, {"url": page}, ranges))
        times = {CUTTING: seconds_cutting(batch)}
        return Attempt(fetch(client, batch.jobs, folder), cost, times)


def cut_batch(client: Client, source: Mapping[str, str], ranges: Sequence[Range]) -> Batch:
    """Submit all and wait for all."""
    jobs = [{"start": wanted.start, "end": wanted.end} for wanted in ranges]
    defaults = {"kind": "clip", "source": dict(source), "mode": "auto"}
    batch = client.submit_batch(jobs, defaults)
    return client.wait_batch(batch.id, timeout_seconds=TIMEOUT_SECONDS)


def fetch(client: Client, jobs: Sequence[Job], folder: Path) -> list[Path]:
    """The clip of each job, in order; a job that failed has no file."""
    targets = [folder / f"clip-{number:02}.mp4" for number in range(len(jobs))]
    for job, target in zip(jobs, targets, strict=True):
        if job.succeeded:
            client.download(job.artifacts[0], folder, name=target.name)
    return targets


def seconds_cutting(batch: Batch) -> float:
    """From the start of the first clip to the end of the last; 0 when no clip was started."""
    started = [moment(job, "started_at") for job in batch.jobs if job.document.get("started_at")]
    finished = [moment(job, "finished_at") for job in batch.jobs]
    return (max(finished) - min(started)).total_seconds() if started else 0.0


def moment(job: Job, name: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(str(job.document[name]))
