"""Single clips by a system that has already downloaded the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clips.sizes import Range
from benchmarks.clips.system import TIMEOUT_SECONDS, fetch
from benchmarks.clips.ways import Attempt
from benchmarks.cost import measured
from benchmarks.stack import fresh_system
from clipmill.client import Client
from clipmill.client.answers import Job
from clipmill.demo.site import running_site

RUN = "run_seconds of the record"


@dataclass
class Session:
    """Never submits a range twice, since equal work is answered from storage. Each call moves its
    range by a millisecond, which contains the same frames."""

    client: Client
    job_id: str
    calls: dict[Range, int] = field(default_factory=dict)

    def cut(self, _source: Path, ranges: Sequence[Range], folder: Path) -> Attempt:
        """One job after the other, each from its submission to its end. A `Way.cut`."""
        jobs, cost = measured(lambda: [self._job(wanted) for wanted in ranges])
        run_seconds = sum(job.run_seconds or 0.0 for job in jobs)
        return Attempt(fetch(self.client, jobs, folder), cost, {RUN: run_seconds})

    def _job(self, wanted: Range) -> Job:
        number = self.calls[wanted] = self.calls.get(wanted, 0) + 1
        moved, source = wanted.later(number), {"job_id": self.job_id}
        job = self.client.submit("clip", source, start=moved.start, end=moved.end, mode="auto")
        return self.client.wait(job.id, timeout_seconds=TIMEOUT_SECONDS)


@contextmanager
def open_session(source: Path) -> Iterator[Session]:
    """A fresh system that has downloaded the source."""
    with running_site(source) as page, fresh_system() as system:
        job = system.client.wait(system.client.submit("download", page).id, check=True)
        yield Session(system.client, job.id)
