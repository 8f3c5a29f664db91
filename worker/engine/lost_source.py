"""A source that is lost after it was there: a power cut, another storage, an operator's `rm`."""

from __future__ import annotations

import logging
import time

from tasks.dispatch.dependents import Dependents
from tasks.job import JobState
from tasks.kinds import KINDS
from tasks.store import Extras, Store
from worker.attempt.lease import LeasedJob
from worker.attempt.source import source_artifacts

log = logging.getLogger(__name__)


def source_again(leased: LeasedJob, store: Store, dependents: Dependents, extras: Extras) -> bool:
    """Request a lost source once more, and let the job wait for it; False when it is not done.

    Only for a job whose source is a URL, and only while attempts are left: each loss counts as
    one. A client that named a job wanted the artifact of that job.
    """
    if KINDS[leased.job.kind].reads_site or leased.job.spec.source.url is None:
        return False
    if leased.job.state is JobState.QUEUED:
        leased.change(lambda job: job.started(time.time()))
    job = leased.job
    if job.attempt >= job.max_attempts:
        return False
    # So no other job takes the artifact. A file of it is removed with those that have no record.
    for lost in source_artifacts(store, job):
        if lost is not None:
            store.artifacts.lost(lost.id)
    plan = dependents.with_new_source(job.requeued(time.time()))
    (again,) = plan.jobs
    stages = leased.release(again, extras, plan.sources)
    dependents.wake(again, plan.sources, stages)
    log.warning("the source was lost and is fetched again")
    return True
