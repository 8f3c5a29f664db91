"""The objects of one API process that a request uses, on a real store and broker."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from config.settings import load_settings
from tasks.dispatch import Dispatcher, JobRequest
from tasks.dispatch.broker import Broker, make_celery
from tasks.dispatch.dependents import Dependents
from tasks.dispatch.planning import Planner
from tasks.job import Failure, Job, JobState
from tasks.kinds import ClipResult, DownloadResult, Verification
from tasks.result import Result
from tasks.specs import Spec
from tasks.storage import open_storage
from tasks.store import Extras, Lease, Store

NO = Failure("unavailable", "removed")
CUT = ClipResult(
    mode="copy", mode_reason="", requested_start=0.0, requested_end=1.0, actual_start=0.0,
    actual_end=1.0, frames=1, frames_encoded=0, frames_copied=1,
    verification=Verification(1, 1, 1),
)  # fmt: skip
RESULTS: dict[str, Result] = {"extract": Result(), "download": DownloadResult(), "clip": CUT}


class House:
    """One API process, and what workers do with its jobs."""

    def __init__(self, url: str, folder: Path, max_queued: str = "20000") -> None:
        settings = load_settings({"CLIPMILL_MAX_QUEUED_JOBS": max_queued})
        self.store = Store.at(url)
        self.broker = Broker(make_celery(url))
        self.folder = folder
        self.storage = open_storage(folder.as_uri())
        self.dispatcher = Dispatcher(self.store, self.broker, self.storage, settings)
        planner = Planner(self.store, settings.reuse_downloads_seconds)
        self.dependents = Dependents(self.store, self.broker, planner)

    def submit(self, spec: Spec, owner: str = "ann", **values: int) -> Job:
        return self.store.jobs.get(self.dispatcher.submit(JobRequest(spec, **values), owner).id)

    def submit_batch(self, specs: Sequence[Spec]) -> tuple[str, list[Job]]:
        batch_id = self.dispatcher.submit_batch([JobRequest(spec) for spec in specs], "ann")
        return batch_id, [
            self.store.jobs.get(job_id) for job_id in self.store.batches.job_ids(batch_id)
        ]

    def start(self, kind: str) -> Lease:
        lease = self.store.leases.take(kind)
        assert lease is not None
        return self.store.jobs.hold(lease, lease.job.started(time.time()), 30)

    def end(self, lease: Lease, state: JobState, extras: Extras = Extras()) -> Job:  # noqa: B008
        """What a worker does with a job's end: record it, then release its dependents."""
        now = time.time()
        job = {
            JobState.SUCCEEDED: lambda: lease.job.succeeded(now, RESULTS[lease.job.kind]),
            JobState.FAILED: lambda: lease.job.failed(now, NO),
            JobState.CANCELLED: lambda: lease.job.cancelled(now),
        }[state]()
        self.store.jobs.release(lease, job, extras)
        self.dependents.release(job)
        return job

    def states(self, jobs: Sequence[Job]) -> Counter[str]:
        return Counter(self.store.jobs.get(job.id).state.value for job in jobs)

    def downloads(self) -> list[Job]:
        ids = self.store.connection.redis.zrange("clipmill:index:kind:download", 0, -1)
        return [self.store.jobs.get(item.decode()) for item in ids]


def messages(house: House, kind: str) -> list[str]:
    """The job ids in a queue of the broker, oldest first."""
    lines = house.store.connection.redis.lrange(f"clipmill:celery:clipmill.{kind}", 0, -1)
    return [json.loads(line)["headers"]["argsrepr"].strip("[]'") for line in reversed(lines)]
