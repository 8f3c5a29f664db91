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
    """Have a lost source fetched once more, and the job wait for it; whether that is done.

    Only who asked for a URL is helped so, and only while there are attempts left: each loss counts
    as one. Who named a job wanted what that job made.
    """
    if KINDS[leased.job.kind].reads_site or leased.job.spec.source.url is None:
        return False
    if leased.job.state is JobState.QUEUED:
        leased.change(lambda job: job.started(time.time()))
    job = leased.job
    if job.attempt >= job.max_attempts:
        return False
    # So nobody else takes it. The file, if there is one, goes with those that have no record.
    for lost in source_artifacts(store, job):
        if lost is not None:
            store.artifacts.lost(lost.id)
    plan = dependents.with_new_source(job.requeued(time.time()))
    (again,) = plan.jobs
    stages = leased.release(again, extras, plan.sources)
    dependents.wake(again, plan.sources, stages)
    log.warning("the source was lost and is fetched again")
    return True
