"""`python -m tests.support.misjudging_worker`: the real worker, which misjudges some jobs.

All is as in production but the first estimate of a job whose metadata says {"misjudged": "10"}:
this estimate is ten times too low. What the worker learns from the job afterwards counts as always.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

from tasks.job import Job
from worker import app
from worker.build import build
from worker.engine.attempts import AttemptFactory
from worker.memory.need import ResourceNeed


class MisjudgingAttempts(AttemptFactory):
    """Divides the estimate of the jobs that ask for it."""

    def estimate(self, job: Job) -> ResourceNeed:
        need = super().estimate(job)
        times = int(job.metadata.get("misjudged", "1"))
        return replace(
            need,
            memory_bytes=need.memory_bytes // times,
            estimate_bytes=need.estimate_bytes // times,
        )


def main() -> int:
    """Run the worker."""
    return app.main(partial(build, attempt_factory=MisjudgingAttempts))


if __name__ == "__main__":
    sys.exit(main())
