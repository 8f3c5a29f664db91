"""How long a job waits on an idle system: from the 202 to `running`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.numbers import milliseconds, spread
from benchmarks.part import Sheet
from clipmill.client import Client

BAR_SECONDS = 0.1
REST_SECONDS = 0.1  # between jobs: the system shall be idle when the next one comes


@dataclass(frozen=True)
class Waited:
    """`seen` by a client: from its 202 to the event that says `running`. `recorded` is the
    record's own `queue_seconds`. `job_id` is one of the finished jobs."""

    seen: list[float]
    recorded: list[float]
    run: list[float]
    job_id: str

    def values(self) -> dict[str, object]:
        """As the JSON has it, in seconds."""
        return {
            "bar_seconds": BAR_SECONDS,
            "seen_by_client": spread(self.seen),
            "recorded": spread(self.recorded),
            "run": spread(self.run),
        }


def run_jobs(client: Client, page: str, count: int) -> Waited:
    """So many clips of one second, copied, each asked for when the last one is done."""
    source = client.wait(client.submit("download", page).id, check=True)
    waited = Waited([], [], [], source.id)
    for number in range(count):
        time.sleep(REST_SECONDS)
        run_one(client, source.id, number, waited)
    return waited


def run_one(client: Client, source_id: str, number: int, waited: Waited) -> None:
    """Submit and follow one job. Each starts a millisecond later: equal work is done only once."""
    start = 1.0 + number / 1000
    job = client.submit("clip", {"job_id": source_id}, start=start, end=start + 1, mode="copy")
    accepted_at = time.monotonic()
    seen = None
    for event in client.events(job.id):
        if seen is None and event.state != "queued":
            seen = time.monotonic() - accepted_at
    job = client.wait(job.id, check=True)
    assert seen is not None
    assert job.queue_seconds is not None
    assert job.run_seconds is not None
    waited.seen.append(seen)
    waited.recorded.append(job.queue_seconds)
    waited.run.append(job.run_seconds)


def waiting_sheet(waited: Waited) -> Sheet:
    rows = [
        ("202 to the event `running`, at the client", waited.seen),
        ("created to started, in the record", waited.recorded),
        ("started to finished, in the record", waited.run),
    ]
    return Sheet(
        f"A short job on an idle system, {len(waited.seen)} times (ms)",
        ("", "median", "p95", "least", "most"),
        [(title, *_figures(values)) for title, values in rows],
        (f"Bar: the median of the first row at most {BAR_SECONDS * 1000:.0f} ms.",),
    )


def _figures(values: list[float]) -> list[str]:
    found = spread(values)
    return [milliseconds(found[name]) for name in ("median", "p95", "least", "most")]
