"""Compares the append-only log of the work that really ran with the records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.work import work_of

MOST_ATTEMPTS = 3
# After a requeue for these reasons the next run may begin before the end of the last is logged.
RECOVERIES = {"worker_lost", "given back"}
Line = Mapping[str, Any]


def effect_faults(
    lines: Sequence[Line],
    documents: Mapping[str, Any],
    stories: Mapping[str, Sequence[Line]],
    most_returns: int,
) -> list[str]:
    """Work that was done too often, at the same time, for no job, or not at all.

    `most_returns` is how often one job may have been released, by the faults of its workers.
    """
    of_job: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        of_job[line["job"]].append(line)
    found = [f"I1 ran without a record: {job_id}" for job_id in of_job.keys() - documents.keys()]
    for job_id in documents:
        found += run_faults(job_id, of_job[job_id], stories[job_id], most_returns)
    return found + _undone(of_job, documents)


def run_faults(
    job_id: str, lines: Sequence[Line], story: Sequence[Line], most_returns: int
) -> list[str]:
    """Faults of one job: more runs than leases, claims or attempts, or two runs at once."""
    begins = Counter(line["token"] for line in lines if line["event"] == "begin")
    over = Counter(line["token"] for line in lines if line["event"] != "begin")
    claims = sum(event["event"] == "running" for event in story)
    reasons = Counter(event.get("why") for event in story if event["event"] == "queued")
    returns, overlaps = reasons["given back"], _overlaps(lines)
    recoveries = sum(reasons[why] for why in RECOVERIES)
    checks = {
        "begun twice under one lease": max(begins.values(), default=0) > 1,
        "ended more often than begun": bool(over - begins),
        f"begun under {len(begins)} leases, claimed {claims} times": len(begins) > claims,
        f"begun {begins.total()} times, given back {returns} times": (
            begins.total() - returns > MOST_ATTEMPTS
        ),
        f"claimed {claims} times, given back {returns} times": claims - returns > MOST_ATTEMPTS,
        f"given back {returns} times, for which {most_returns} reasons were given": (
            returns > most_returns
        ),
        f"begun {overlaps} times beside itself, recovered {recoveries} times": (
            overlaps > recoveries
        ),
    }
    return [f"I8 {what}: {job_id}" for what, wrong in checks.items() if wrong]


def _overlaps(lines: Sequence[Line]) -> int:
    """How often a run began before the end of the run before, as far as can be known."""
    latest, count = None, 0
    for line in lines:
        if line["event"] == "begin":
            count += latest is not None
            latest = line["token"]
        elif line["token"] == latest:
            latest = None
    return count


def _undone(of_job: Mapping[str, Sequence[Line]], documents: Mapping[str, Any]) -> list[str]:
    """Jobs that succeeded though neither they nor an equal job completed the work."""
    succeeded = {id_: job for id_, job in documents.items() if job["state"] == "succeeded"}
    at_work = {
        job_id
        for job_id, job in succeeded.items()
        if _did_it(of_job.get(job_id, ()), job["attempt"])
    }
    done = {work_of(succeeded[job_id]["spec"]) for job_id in at_work}
    return [
        f"I2 succeeded without its work: {job_id}"
        for job_id, job in succeeded.items()
        if job_id not in at_work and (job["kind"] == "extract" or work_of(job["spec"]) not in done)
    ]


def _did_it(lines: Sequence[Line], attempt: int) -> bool:
    """Whether the last run of that attempt was completed."""
    last = [line for line in lines if line["attempt"] == attempt]
    tokens = [line["token"] for line in last if line["event"] == "begin"]
    return any(line["event"] == "end" and line["token"] == tokens[-1] for line in last)
