"""From a request to job records: where their media comes from and which jobs they wait for.

Planning decides and writes nothing. `Planner.plan` reads what the store knows. Then `planned`,
which is pure, decides which records are written; the caller writes all of them in one step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.ids import IdMaker
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import KINDS, DownloadSpec
from tasks.specs import Source, Spec
from tasks.store import NewSources, Store
from tasks.tracing.context import current_trace
from tasks.webhook import Webhook


@dataclass(frozen=True)
class JobRequest:
    """The request for one job, its form already checked."""

    spec: Spec
    priority: int = 5
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None

    def to_dict(self) -> dict[str, Any]:
        """The whole request, ready for JSON."""
        spec = {"kind": self.spec.kind, **self.spec.to_dict()}
        webhook = self.webhook and self.webhook.to_dict()
        return {**vars(self), "metadata": dict(self.metadata), "spec": spec, "webhook": webhook}


@dataclass(frozen=True)
class Known:
    """What the store knew about the sources of some jobs, just before the planning."""

    jobs: Mapping[str, Job]  # the jobs that sources name, by id, without deleted ones
    leaders: Mapping[str, Job]  # the jobs that do, or did, the work of a fingerprint


@dataclass(frozen=True)
class Plan:
    """What is to be recorded: jobs, in the order of the request, and new sources."""

    jobs: tuple[Job, ...]
    sources: NewSources


def new_enough(download: Job, asked: Job, reuse_seconds: float) -> bool:
    """Whether a download is new enough for a job with the same URL, whose file may change.

    The age counts up to the time when the job was queued, so that no job loses a download that was
    new enough then, however long the job waits.
    """
    ended = download.finished_at
    return ended is None or ended >= asked.queued_at - reuse_seconds


class Planner:
    """Makes job records and plans where their sources come from.

    Later jobs with its URL may use a download for `reuse_seconds` after its end.
    """

    def __init__(self, store: Store, reuse_seconds: float) -> None:
        self._store = store
        self._reuse_seconds = reuse_seconds
        self._new_id = IdMaker()

    def new_id(self) -> str:
        """A fresh id."""
        return self._new_id()

    def record(
        self,
        request: JobRequest,
        owner: str,
        batch_id: str | None = None,
        job_id: str | None = None,
    ) -> Job:
        """The record of a checked request, its sources not yet planned."""
        now = time.time()
        spec = request.spec
        return Job(
            id=job_id or self._new_id(),
            spec=spec,
            owner=owner,
            created_at=now,
            queued_at=now,
            priority=request.priority,
            batch_id=batch_id,
            external_id=request.external_id,
            metadata=dict(request.metadata),
            webhook=request.webhook,
            trace=current_trace.get(),
            fingerprint=spec.fingerprint(owner),
        )

    def plan(self, jobs: Sequence[Job]) -> Plan:
        """Where the sources of these jobs come from now. Raises StoreUnavailable."""
        sources = [(job, source) for job in jobs for source in media_sources(job.spec)]
        named = {name for _, source in sources if (name := source.job_id or source.upload_id)}
        works = {_download_name(source, job.owner) for job, source in sources if source.url}
        works |= {job.fingerprint for job in jobs if job.fingerprint is not None}
        known = Known(self._store.jobs.found(named), self._store.equal_work.leaders(works))
        return planned(jobs, known, self._reuse_seconds, self._new_id)


def planned(
    jobs: Sequence[Job], known: Known, reuse_seconds: float, new_id: Callable[[], str]
) -> Plan:
    """The plan that follows from what the store knows."""
    planning = _Planning(known, reuse_seconds, new_id)
    for job in sorted(jobs, key=lambda job: -job.priority):
        planning.begin_downloads(job)  # the most urgent job sets the priority of a new download
    after = tuple(_after(job, planning.deliverers(job)) for job in jobs)
    return Plan(after, NewSources(tuple(planning.downloads.values()), planning.outdated))


def media_sources(spec: Spec) -> tuple[Source, ...]:
    """The sources that other jobs deliver for this spec."""
    return () if KINDS[spec.kind].reads_site else spec.sources


def _download_name(source: Source, owner: str) -> str:
    """The fingerprint of the download that delivers a URL."""
    return DownloadSpec(Source(url=source.url)).fingerprint(owner)


class _Planning:
    """A plan being made: new downloads, and leaders that are too old, both by fingerprint."""

    def __init__(self, known: Known, reuse_seconds: float, new_id: Callable[[], str]) -> None:
        self._known = known
        self._reuse_seconds = reuse_seconds
        self._new_id = new_id
        self.downloads: dict[str, Job] = {}
        self.outdated: dict[str, str] = {}

    def begin_downloads(self, job: Job) -> None:
        """Plan a new download for each URL that no known download delivers."""
        for source in media_sources(job.spec):
            if source.url is None:
                continue
            name = _download_name(source, job.owner)
            if name not in self.downloads and self._leader(name, job) is None:
                self.downloads[name] = self._new_download(source, name, job)

    def deliverers(self, job: Job) -> list[Job]:
        """The jobs that deliver the sources of this job, or that do the same work already."""
        if job.fingerprint is not None:
            leader = self._leader(job.fingerprint, job)
            return [leader] if leader is not None and leader.id != job.id else []
        found = [self._deliverer(source, job) for source in media_sources(job.spec)]
        return [parent for parent in found if parent is not None]

    def _deliverer(self, source: Source, job: Job) -> Job | None:
        named = source.job_id or source.upload_id
        if named is not None:
            # A source that was deleted meanwhile is absent: the job fails when it runs.
            return self._known.jobs.get(named)
        if source.url is None:
            return None
        name = _download_name(source, job.owner)
        return self.downloads.get(name) or self._leader(name, job)

    def _leader(self, name: str, asked: Job) -> Job | None:
        """The job whose work this job can use; a leader that is too old leads no more jobs."""
        leader = self._known.leaders.get(name)
        if leader is None or leader.state in {JobState.FAILED, JobState.CANCELLED}:
            return None
        if not new_enough(leader, asked, self._reuse_seconds):
            self.outdated[name] = leader.id
            return None
        return leader

    def _new_download(self, source: Source, name: str, job: Job) -> Job:
        now = time.time()
        return Job(
            id=self._new_id(), spec=DownloadSpec(Source(url=source.url)), owner=job.owner,
            created_at=now, queued_at=now, priority=job.priority, fairness_group=job.batch_id,
            internal=True, fingerprint=name, trace=job.trace,
        )  # fmt: skip


def _after(job: Job, parents: Iterable[Job]) -> Job:
    """The job as it waits for these parents, each named once."""
    found = {parent.id: parent for parent in parents}
    over = all(parent.state is JobState.SUCCEEDED for parent in found.values())
    return job.depending_on(found, None if over else WaitReason.DEPENDENCY)
