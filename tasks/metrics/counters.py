"""What a move of a job adds to the numbers. Written with the move, so the two always agree.

A name is `metric` or `metric{label=value,…}`; a histogram keeps `_bucket`, `_sum` and `_count`.
`catalogue` says what each metric means.
"""

from __future__ import annotations

from collections import Counter

from tasks.job import Job, JobState
from tasks.metrics.catalogue import buckets_of, check_name


def counter_name(metric: str, **labels: str) -> str:
    """The name of a number and its labels, in fixed order. ValueError if the catalogue lacks it."""
    names = tuple(sorted(labels))
    check_name(metric, names)
    inside = ",".join(f"{label}={labels[label]}" for label in names)
    return f"{metric}{{{inside}}}" if inside else metric


def observed(metric: str, value: float, **labels: str) -> Counter[str]:
    """One observation of a histogram. A bucket counts only its own: the reader adds them up."""
    bound = next((f"{edge:g}" for edge in buckets_of(metric) if value <= edge), "+Inf")
    return Counter(
        {
            counter_name(f"{metric}_bucket", le=bound, **labels): 1,
            counter_name(f"{metric}_sum", **labels): value,
            counter_name(f"{metric}_count", **labels): 1,
        }
    )


def counters_of_move(before: Job | None, after: Job) -> Counter[str]:
    """What the move from `before` (None when it is new) to `after` adds."""
    if before is not None and before.state == after.state:
        return Counter()
    numbers: Counter[str] = Counter()
    kind = after.kind
    if after.state is JobState.RUNNING and after.started_at is not None:
        waited = max(0.0, after.started_at - after.queued_at)
        numbers += observed("job_queue_seconds", waited, kind=kind)
    if after.state.final:
        numbers[counter_name("jobs_total", kind=kind, state=after.state)] += 1
        if after.started_at is not None and after.finished_at is not None:
            ran = max(0.0, after.finished_at - after.started_at)
            numbers += observed("job_run_seconds", ran, kind=kind)
    if after.state is JobState.FAILED and after.error is not None:
        numbers[counter_name("job_failures_total", kind=kind, code=after.error.code)] += 1
    return numbers
