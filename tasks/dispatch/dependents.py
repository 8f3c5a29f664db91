"""What follows from the end of a job: dependents are released, unneeded downloads are cancelled.

Every step is conditional on the record, so after a crash any process may repeat it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from tasks.dispatch.broker import Broker
from tasks.dispatch.planning import Plan, Planner
from tasks.errors import Conflict, NotFound, SourceFailed
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.store import NO_NEW_SOURCES, NewSources, Store
from tasks.store.optimistic import until_unopposed


class Dependents:
    """Releases the dependents of jobs that have ended, and cancels jobs."""

    def __init__(self, store: Store, broker: Broker, planner: Planner) -> None:
        self._store = store
        self._broker = broker
        self._planner = planner

    def release(self, job: Job) -> None:
        """Release the dependents of a final job; cancel the downloads that only this job needed."""
        ended = [job]
        while ended:  # a loop, no recursion: a client may build a chain of any length
            parent = ended.pop()
            waiting = self._store.dependents.of(parent.id)
            released = [self._release(job_id, parent) for job_id in waiting]
            ended += [item for item in released if item is not None and item.state.final]
            self._store.dependents.released(parent.id)
            for source in parent.depends_on:
                self.stop_if_unneeded(source)

    def wake_kinds(self, kinds: Sequence[str]) -> None:
        """Send a message for each of these kinds, of which jobs are ready."""
        self._broker.wake([(kind, "") for kind in kinds])

    def cancel(self, job: Job, revision: int) -> None:
        """Cancel a job that is not final. Raises Conflict when the job has changed: read again."""
        if job.state is JobState.RUNNING:
            if not self._store.jobs.request_cancel(job.id):
                raise Conflict("the job does not run any more")
            return
        cancelled = job.cancelled(time.time())
        self._store.jobs.replace(job, cancelled, revision)
        self.release(cancelled)

    def stop_if_unneeded(self, download_id: str) -> bool:
        """Cancel a download that no clip needs any more; returns whether it was cancelled."""
        if self._store.dependents.any_of(download_id):
            return False
        try:
            job, revision = self._store.jobs.get_with_revision(download_id)
            if not job.internal or job.state.final:
                return False
            self.cancel(job, revision)
        except (NotFound, Conflict):
            return False  # the job was deleted, or just now a clip needs it or it ended
        return True

    def with_new_source(self, job: Job) -> Plan:
        """The job as it waits for its source again, after the artifact of the source was lost."""
        return self._planner.plan([job])

    def wake(self, job: Job, sources: NewSources, stages: Sequence[str]) -> None:
        """Wake workers for the jobs that were just written, if they are ready."""
        self._broker.wake_ready((*sources.downloads, job), stages)

    def publish(self, job: Job) -> None:
        """Wake a worker for a job that is ready."""
        self._broker.wake([(job.kind, job.id)])

    def _release(self, job_id: str, parent: Job) -> Job | None:
        """Release one job that waited for `parent`, and return it; None if the job still waits."""
        try:
            return until_unopposed(partial(self._try_release, job_id, parent))
        except NotFound:
            return None

    def _try_release(self, job_id: str, parent: Job) -> Job | None:
        job, revision = self._store.jobs.get_with_revision(job_id)
        if not _waits_for_source(job) or parent.id not in job.depends_on:
            return None
        others = self._store.jobs.found([it for it in job.depends_on if it != parent.id])
        plan = self._after(job, parent, others)
        if plan is None:
            return None
        (released,) = plan.jobs
        stages = self._store.jobs.replace(job, released, revision, sources=plan.sources)
        self.wake(released, plan.sources, stages)
        return released

    def _after(self, job: Job, parent: Job, others: Mapping[str, Job]) -> Plan | None:
        """The job after the end of `parent`, with its new sources; None: the job still waits."""
        if parent.state is JobState.CANCELLED:
            plan = self._planner.plan([job])
            if parent.id not in plan.jobs[0].depends_on:
                # The job asked for the URL, not for `parent`: another download fetches it.
                return plan
        after = after_end(job, parent, others)
        return None if after is None else Plan((after,), NO_NEW_SOURCES)


def after_end(job: Job, parent: Job, others: Mapping[str, Job]) -> Job | None:
    """The job after the end of `parent`; None while the job still waits for one of the others."""
    if parent.state is not JobState.SUCCEEDED:
        same_work = job.fingerprint is not None
        failure = (parent.error if same_work else None) or _source_failed(parent)
        return job.failed(time.time(), failure)
    if any(other.state is not JobState.SUCCEEDED for other in others.values()):
        return None
    return job.waiting_for(None)


_ENDS = {JobState.FAILED: "failed", JobState.CANCELLED: "was cancelled"}


def _source_failed(parent: Job) -> Failure:
    detail = {"job_id": parent.id, "code": parent.error.code if parent.error else parent.state}
    message = f"the job that delivers the source {_ENDS[parent.state]}"
    return Failure.of(SourceFailed(message, detail))


def _waits_for_source(job: Job) -> bool:
    return job.state is JobState.QUEUED and job.wait_reason is WaitReason.DEPENDENCY
