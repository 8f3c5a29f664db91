"""Attempts on this machine: what each may use, and its tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.job import Job
from tasks.kinds import KINDS
from tasks.media import MediaFacts
from worker.attempt.attempt import Attempt, Exchange
from worker.attempt.lease import LeasedJob
from worker.attempt.machine import Machine
from worker.attempt.source import source_of
from worker.kinds import HANDLERS
from worker.memory.need import ResourceNeed


@dataclass(frozen=True)
class AttemptFactory:
    """Makes the attempts of all jobs on one machine."""

    machine: Machine

    def need_of(self, job: Job) -> ResourceNeed:
        """The memory and threads to run a job with. Raises SourceFailed when its source is gone.

        The need that an earlier attempt of the job recorded counts more than any estimate.
        """
        need = self.estimate(job)
        return need.at_least(min(job.memory_floor_bytes, self.machine.capacity.budget_bytes))

    def estimate(self, job: Job) -> ResourceNeed:
        """The need of a job by its spec, and by the facts of its source if they are known."""
        facts = None
        if job.depends_on and not KINDS[job.kind].reads_site:
            source = source_of(self.machine.store, job)
            facts = MediaFacts.from_dict(source.facts) if source.facts else None
        return HANDLERS[job.kind].need(job.spec, facts, self.machine.capacity)

    def attempt(
        self, leased: LeasedJob, folder: Path, need: ResourceNeed, exchange: Exchange
    ) -> Attempt:
        """One attempt of one job, within its reservation."""
        return Attempt(self.machine, leased, folder, need, exchange)
