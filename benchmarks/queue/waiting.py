"""How long a job waits on an idle system: from the 202 to `running`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.numbers import milliseconds, spread
from benchmarks.part import Sheet
from clipmill.client import Client

BAR_SECONDS = 0.1
REST_SECONDS = 0.1  # between jobs, so that the system is idle when the next job comes
POLL_SECONDS = 0.002


Look = Callable[[Client, str], float]


@dataclass(frozen=True)
class Waited:
    """Seconds of many jobs. `polled` and `streamed`: from the 202 until a client saw that the job
    was no longer queued. `recorded`: `queue_seconds` of each record. `job_id` is a finished job's.
    """

    polled: list[float]
    streamed: list[float]
    recorded: list[float]
    run: list[float]
    job_id: str

    def values(self) -> dict[str, object]:
        """The figures for the JSON, in seconds."""
        return {
            "bar_seconds": BAR_SECONDS,
            "seen_by_polling": spread(self.polled),
            "seen_by_events": spread(self.streamed),
            "recorded": spread(self.recorded),
            "run": spread(self.run),
        }


def run_jobs(client: Client, page: str, count: int) -> Waited:
    """Copied clips of one second, each submitted when the last clip is done. `count` clips are
    polled and as many followed by events."""
    source = client.wait(client.submit("download", page).id, check=True)
    waited = Waited([], [], [], [], source.id)
    looks = ((until_polled, waited.polled), (until_event, waited.streamed))
    for number in range(2 * count):
        look, seen = looks[number % 2]
        time.sleep(REST_SECONDS)
        seen.append(run_one(client, source.id, number, look, waited))
    return waited


def run_one(client: Client, source_id: str, number: int, look: Look, waited: Waited) -> float:
    """Run one job; the seconds until it was seen. Each job's range starts a millisecond after the
    last job's, since equal work is done only once."""
    start = 1.0 + number / 1000
    job = client.submit("clip", {"job_id": source_id}, start=start, end=start + 1, mode="copy")
    accepted_at = time.monotonic()
    seen_at = look(client, job.id)
    job = client.wait(job.id, check=True)
    assert job.queue_seconds is not None
    assert job.run_seconds is not None
    waited.recorded.append(job.queue_seconds)
    waited.run.append(job.run_seconds)
    return seen_at - accepted_at


def until_polled(client: Client, job_id: str) -> float:
    """When a poll first found the job no longer queued."""
    while client.job(job_id).state == "queued":
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def until_event(client: Client, job_id: str) -> float:
    """When an event first reported the job as no longer queued."""
    for event in client.events(job_id):
        if event.state != "queued":
            return time.monotonic()
    raise AssertionError("the events of a job end with a final state")


def waiting_sheet(waited: Waited) -> Sheet:
    rows = [
        ("202 to `running`, polled by the client", waited.polled),
        ("202 to `running`, reported by an event", waited.streamed),
        ("created to started, in the record", waited.recorded),
        ("started to finished, in the record", waited.run),
    ]
    return Sheet(
        f"A short job on an idle system, {len(waited.recorded)} times (ms)",
        ("", "jobs", "median", "p95", "least", "most"),
        [(title, str(len(values)), *_figures(values)) for title, values in rows],
        (f"Bar: a median of at most {BAR_SECONDS * 1000:.0f} ms to `running`.",),
    )


def _figures(values: list[float]) -> list[str]:
    found = spread(values)
    return [milliseconds(found[name]) for name in ("median", "p95", "least", "most")]
