"""What follows from the end of a job: dependents go on, and what nobody needs any more stops.

Every step is conditional on the record, so it may be repeated after a crash by anyone.
"""

from __future__ import annotations

import logging
import time

from tasks.dispatch.broker import Broker
from tasks.dispatch.planning import Planner
from tasks.errors import NotFound, SourceFailed, StoreUnavailable
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.store import Conflict, Follows, Store

log = logging.getLogger(__name__)

# How often a change is tried again when somebody else changed the job in between.
_TRIES = 20


class Dependents:
    """Carries the end of one job over to those it concerns."""

    def __init__(self, store: Store, broker: Broker) -> None:
        self._store = store
        self._broker = broker
        self._planner = Planner(store, ())

    def settle(self, job: Job) -> None:
        """Release those who waited for a final job; stop the download that only it needed."""
        ended = [job]
        while ended:  # a loop, since a client may build a chain as long as it likes
            parent = ended.pop()
            released = self._release_all(parent)
            ended += [item for item in released if item.state.final]
            self._store.dependents.released(parent.id)
            if parent.depends_on is not None:
                self.stop_if_unused(parent.depends_on)

    def cancel(self, job: Job, revision: int) -> bool:
        """Stop a job that is not final; False when it changed meanwhile, so look again."""
        if job.state is JobState.RUNNING:
            return self._store.jobs.request_cancel(job.id)
        cancelled = job.cancelled(time.time())
        try:
            self._store.jobs.replace(job, cancelled, revision)
        except Conflict:
            return False
        self.settle(cancelled)
        return True

    def _release_all(self, parent: Job) -> list[Job]:
        moved = [self._release(item, parent) for item in self._store.dependents.of(parent.id)]
        released = [item for item in moved if item is not None]
        downloads = {item.depends_on for item in released if _waits(item)}
        self._send([("download", download) for download in sorted(filter(None, downloads))])
        return released

    def _release(self, job_id: str, parent: Job) -> Job | None:
        """Move on one job that waited for `parent`; the job as it is then, None if it is not."""
        for _ in range(_TRIES):
            try:
                job, revision = self._store.jobs.get_with_revision(job_id)
            except NotFound:
                return None
            if not _waits(job) or job.depends_on != parent.id:
                return None
            released = self._after(job, parent)
            try:
                stage = self._store.jobs.replace(job, released, revision)
            except (Conflict, Follows):
                continue  # it was changed, or others began the same work: look again
            if stage == "ready":
                self.publish(released)
            return released
        raise StoreUnavailable("the job changes too fast")

    def _after(self, job: Job, parent: Job) -> Job:
        """The job as it goes on when the one it waited for has ended."""
        if parent.state is JobState.SUCCEEDED:
            return job.waiting_for(None)
        if parent.state is JobState.CANCELLED and job.spec.source.url is not None:
            # It asked for the URL, not for that job: somebody else has to fetch it.
            return self._planner.with_source(job)
        if job.fingerprint is not None and parent.error is not None:  # the same work
            return job.failed(time.time(), parent.error)
        return job.failed(time.time(), _source_failed(parent))

    def stop_if_unused(self, download_id: str) -> bool:
        """Cancel a download that was made for clips which are all gone; whether it was one."""
        if self._store.dependents.any_of(download_id):
            return False
        try:
            job, revision = self._store.jobs.get_with_revision(download_id)
        except NotFound:
            return False
        return job.internal and not job.state.final and self.cancel(job, revision)

    def sourced_anew(self, job: Job) -> Job:
        """The job as it waits for its source once more, after what was there is lost."""
        return self._planner.with_source(job)

    def wake(self, job: Job, stage: str) -> None:
        """Wake a worker for a job that is ready, or else for the download that it waits for."""
        if stage == "ready":
            self.publish(job)
        elif job.depends_on is not None:
            self._send([("download", job.depends_on)])

    def publish(self, job: Job) -> None:
        """Wake a worker for a job; if that fails the housekeeper does it later."""
        self._send([(job.kind, job.id)])

    def _send(self, messages: list[tuple[str, str]]) -> None:
        try:
            self._broker.publish(messages)
        except StoreUnavailable:
            log.warning("no message could be sent", extra={"values": {"jobs": len(messages)}})


_ENDS = {JobState.FAILED: "failed", JobState.CANCELLED: "was cancelled"}


def _waits(job: Job) -> bool:
    return job.state is JobState.QUEUED and job.wait_reason is WaitReason.DEPENDENCY


def _source_failed(parent: Job) -> Failure:
    detail = {"job_id": parent.id, "code": parent.error.code if parent.error else parent.state}
    message = f"the job that delivers the source {_ENDS[parent.state]}"
    return Failure.of(SourceFailed(message, detail))
