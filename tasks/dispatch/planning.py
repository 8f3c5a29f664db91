"""From a request to a job record: where its media comes from and what it has to wait for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.values import Network
from tasks.addresses import check_url
from tasks.errors import Fault, InvalidRequest, JobError, NotFound, StoreUnavailable
from tasks.ids import IdMaker
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import KINDS, DownloadSpec
from tasks.specs import Source, Spec
from tasks.store import Follows, Store
from tasks.tracing.context import current_trace

# How often it is looked again who delivers a source, when that changes meanwhile.
_TRIES = 20


@dataclass(frozen=True)
class JobRequest:
    """What a client may say of one job, checked for form."""

    spec: Spec
    priority: int = 5
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    webhook: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All that was asked, ready for JSON."""
        spec = {"kind": self.spec.kind, **self.spec.to_dict()}
        return {**vars(self), "metadata": dict(self.metadata), "spec": spec}


def new_enough(download: Job, asked: Job, reuse_seconds: float) -> bool:
    """Whether a download may answer a job that asks for its URL: by then another file may be there.

    It counts when the job was asked for, so that nobody who waits in the queue loses what was new.
    """
    ended = download.finished_at
    return ended is None or ended >= asked.queued_at - reuse_seconds


class Planner:
    """Makes job records. Records the download that a clip of a URL needs, once for all of them.

    A download answers others for `reuse_seconds`, without end if nothing is said of it.
    """

    def __init__(
        self, store: Store, allowed: Sequence[Network], reuse_seconds: float = math.inf
    ) -> None:
        self._store = store
        self._allowed = allowed
        self._reuse_seconds = reuse_seconds
        self._new_id = IdMaker()

    def new_id(self) -> str:
        """A fresh id."""
        return self._new_id()

    def check(self, request: JobRequest, owner: str) -> None:
        """Raises InvalidRequest when source or webhook cannot be used; records nothing."""
        source = request.spec.source
        if source.upload_id is not None:
            raise _fault("/source/upload_id", "there is no such upload")
        if source.job_id is not None:
            self._check_source_job(request.spec, source.job_id, owner)
        if source.url is not None:
            self._check_url(source.url, "/source/url")
        if request.webhook is not None:
            self._check_url(request.webhook["url"], "/webhook/url")

    def _check_url(self, url: str, pointer: str) -> None:
        try:
            check_url(url, self._allowed)
        except JobError as error:
            faults = (Fault(pointer, error.message),)
            raise InvalidRequest(error.message, faults, error.code) from error

    def _check_source_job(self, spec: Spec, job_id: str, owner: str) -> None:
        if KINDS[spec.kind].reads_site:
            raise _fault("/source/job_id", f"a job of kind {spec.kind} needs a url")
        try:
            job = self._store.jobs.get(job_id, owner)
        except NotFound as error:
            raise _fault("/source/job_id", "there is no such job") from error
        if not KINDS[job.kind].gives_media:
            raise _fault("/source/job_id", f"a job of kind {job.kind} gives no media")
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            raise _fault("/source/job_id", f"that job is {job.state}")

    def plan(self, request: JobRequest, owner: str) -> Job:
        """The record of a checked request, not yet stored."""
        return self.with_source(self._record(request, owner, None))

    def plan_batch(self, requests: Sequence[JobRequest], owner: str, batch_id: str) -> list[Job]:
        """The records of a batch, not yet stored; a source that many share is looked up once."""
        parents: dict[Source, Job | None] = {}
        records = [self._record(request, owner, batch_id) for request in requests]
        clips = [job for job in records if not KINDS[job.kind].reads_site]
        for clip in sorted(clips, key=lambda clip: -clip.priority):
            self._parent_of(clip, parents)  # the most urgent says how urgent their download is
        return [self._after(job, self._parent_of(job, parents)) for job in records]

    def _record(self, request: JobRequest, owner: str, batch_id: str | None) -> Job:
        now = time.time()
        spec = request.spec
        return Job(
            id=self._new_id(),
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

    def with_source(self, job: Job) -> Job:
        """The job with `depends_on` set to whichever job delivers its source."""
        return self._after(job, self._parent_of(job, {}))

    def _after(self, job: Job, parent: Job | None) -> Job:
        if parent is None:
            return job.depending_on(None, None)
        waits = None if parent.state is JobState.SUCCEEDED else WaitReason.DEPENDENCY
        return job.depending_on(parent.id, waits)

    def _parent_of(self, job: Job, parents: dict[Source, Job | None]) -> Job | None:
        if not KINDS[job.kind].reads_site:
            source = job.spec.source
            if source not in parents:
                parents[source] = self._deliverer(source, job)
            return parents[source]
        if job.fingerprint is not None:
            leader = self._leader(job.fingerprint, job)
            return leader if leader is not None and leader.id != job.id else None
        return None

    def _leader(self, fingerprint: str, asked: Job) -> Job | None:
        """The download that answers this one or a clip; one that is too old leads nobody more."""
        leader = self._store.equal_work.leader(fingerprint)
        if leader is None or not _alive(leader):
            return None
        if not new_enough(leader, asked, self._reuse_seconds):
            self._store.equal_work.end(fingerprint, leader.id)
            return None
        return leader

    def _deliverer(self, source: Source, clip: Job) -> Job | None:
        if source.job_id is not None:
            return self._source_job(source.job_id)
        return None if source.url is None else self._download_for(source.url, clip)

    def _source_job(self, job_id: str) -> Job | None:
        try:
            return self._store.jobs.get(job_id)
        except NotFound:
            return None  # deleted since: the job will say so when it runs

    def _download_for(self, url: str, clip: Job) -> Job:
        """The download of this URL: one that is there already, or a new one."""
        spec = DownloadSpec(Source(url=url))
        fingerprint = spec.fingerprint(clip.owner)
        for _ in range(_TRIES):
            leader = self._leader(fingerprint, clip)
            if leader is not None:
                return leader
            try:
                return self._new_download(spec, fingerprint, clip)
            except Follows:
                continue  # somebody else was faster; should that one be deleted, ours is next
        raise StoreUnavailable("downloads of this address come and go too fast")

    def _new_download(self, spec: DownloadSpec, fingerprint: str, clip: Job) -> Job:
        now = time.time()
        download = Job(
            id=self._new_id(), spec=spec, owner=clip.owner, created_at=now, queued_at=now,
            priority=clip.priority, fairness_group=clip.batch_id, internal=True,
            fingerprint=fingerprint, trace=clip.trace,
        )  # fmt: skip
        self._store.jobs.add(download)
        return download


def _alive(job: Job) -> bool:
    return job.state not in {JobState.FAILED, JobState.CANCELLED}


def _fault(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, (Fault(pointer, detail),))
