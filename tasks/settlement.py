"""What follows from the end of a job: dependents go on, and what nobody needs any more stops.

Every step is conditional on the record, so it may be repeated after a crash by anyone.
"""

from __future__ import annotations

import logging
import time

from tasks.broker import Broker
from tasks.errors import NotFound, SourceFailed, StoreUnavailable
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.store import Conflict, Follows, Store

log = logging.getLogger(__name__)


class Settlement:
    """Carries the end of one job over to those it concerns."""

    def __init__(self, store: Store, broker: Broker) -> None:
        self._store = store
        self._broker = broker

    def settle(self, job: Job) -> None:
        """Release those who waited for a final job; stop the download that only it needed."""
        for dependent_id in self._store.dependents(job.id):
            self._release(dependent_id, job)
        self._store.dependents_released(job.id)
        if job.depends_on is not None:
            self._stop_if_unused(job.depends_on)

    def cancel(self, job: Job, revision: int) -> bool:
        """Stop a job that is not final; False when it changed meanwhile, so look again."""
        if job.state is JobState.RUNNING:
            return self._store.request_cancel(job.id)
        cancelled = job.cancelled(time.time())
        try:
            self._store.replace(job, cancelled, revision)
        except Conflict:
            return False
        self.settle(cancelled)
        return True

    def follow(self, job: Job, leader_id: str) -> Job:
        """Write into a fresh record that it waits for another job that does the same work."""
        following = job.depending_on(leader_id, WaitReason.DEPENDENCY)
        current, revision = self._store.job_and_revision(job.id)
        try:
            self._store.replace(current, following, revision)
        except Conflict:
            return self._store.job(job.id)  # it was released in the meantime
        return following

    def _release(self, job_id: str, parent: Job) -> None:
        """Move on one job that waited for `parent`."""
        try:
            job, revision = self._store.job_and_revision(job_id)
        except NotFound:
            return
        if job.state is not JobState.QUEUED or job.wait_reason is not WaitReason.DEPENDENCY:
            return
        released = _after(job, parent)
        try:
            place = self._store.replace(job, released, revision)
        except Follows as other:
            self.follow(job, other.leader)
            return
        except Conflict:
            return  # cancelled, or released by somebody else
        if place == "ready":
            self.publish(released)
        elif released.state.final:
            self.settle(released)

    def _stop_if_unused(self, download_id: str) -> None:
        """Cancel a download that was made for clips which are all gone."""
        try:
            job, revision = self._store.job_and_revision(download_id)
        except NotFound:
            return
        if job.implied and not job.state.final and not self._store.dependents(download_id):
            self.cancel(job, revision)

    def publish(self, job: Job) -> None:
        """Wake a worker for a job; if that fails the housekeeper does it later."""
        try:
            self._broker.publish([(job.kind, job.id)])
        except StoreUnavailable:
            log.warning("no message could be sent", extra={"values": {"job": job.id}})


_ENDS = {JobState.FAILED: "failed", JobState.CANCELLED: "was cancelled"}


def _after(job: Job, parent: Job) -> Job:
    """The job as it goes on when the one it waited for has ended."""
    now = time.time()
    same_work = job.fingerprint is not None and job.fingerprint == parent.fingerprint
    if parent.state is JobState.SUCCEEDED:
        return job.waiting_for(None)
    if same_work and parent.state is JobState.CANCELLED:
        return job.depending_on(None, None)  # somebody has to do it
    if same_work and parent.error is not None:
        return job.failed(now, parent.error)
    detail = {"job_id": parent.id, "code": parent.error.code if parent.error else parent.state}
    error = SourceFailed(f"the job that delivers the source {_ENDS[parent.state]}", detail)
    return job.failed(now, Failure.of(error))
