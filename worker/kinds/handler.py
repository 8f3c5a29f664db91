"""The interface of a handler: what a job needs, how it is done, which artifacts answer it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from hashlib import sha256
from typing import ClassVar, Generic, TypeVar

from tasks.artifact import StoredArtifact
from tasks.job import Job
from tasks.kinds import KINDS
from tasks.media import MediaFacts
from tasks.specs import Source, Spec
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import Outcome
from worker.memory.capacity import Capacity
from worker.memory.need import ResourceNeed

AnySpec = TypeVar("AnySpec", bound=Spec)


class Handler(ABC, Generic[AnySpec]):
    """Does the jobs of one kind."""

    # Disk space without which no attempt begins. The size of a result is not known before it is
    # made; `Disk` stops a job when the disk runs full all the same.
    disk_bytes: ClassVar[int]

    @abstractmethod
    def need(self, spec: AnySpec, source: MediaFacts | None, capacity: Capacity) -> ResourceNeed:
        """The memory and threads to run the job with; `source` is None while it is unknown.

        Raises a JobError when such a source cannot give what was asked for.
        """

    @abstractmethod
    def run(self, spec: AnySpec, attempt: Attempt) -> Outcome:
        """Do the work of the spec. Raises a JobError."""

    def cache_key(self, job: Job, source: StoredArtifact | None) -> str | None:
        """A key that is equal for equal work: the same request, of the same bytes, by one owner.

        None where no earlier job can answer.
        """
        if not KINDS[job.kind].cached:
            return None
        if job.fingerprint is not None:
            return f"{job.kind}:{job.fingerprint}"
        if source is None:
            return None
        asked = replace(job.spec, source=Source()).to_dict()
        text = json.dumps([job.owner, source.sha256, source.filename, asked], sort_keys=True)
        return f"{job.kind}:{sha256(text.encode()).hexdigest()[:32]}"
