"""I5: a job fails only for what it asked for, or for faults that struck while it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.effects import MOST_ATTEMPTS, Line

# Share of the jobs that asked for no failure and were not cancelled.
LEAST_SUCCESSES = 0.9
# A fault shows itself late: after the time-out of a connection, and what a loaded machine adds.
LATE_SECONDS = 10.0
ASKED_FOR = {"internal_error": "raise=", "unavailable": "unavailable"}

_NO_WORD = {
    "cut_every_connection",
    "pause_the_server",
    "stop_the_server_for_a_while",
    "kill_the_server",
    "hang_a_link",
    "lose_answers",
    "slow_a_disk",
    "hang_a_disk",
    "fill_the_store_s_disk",
}
_NO_WORKER = {
    "kill_a_worker",
    "kill_a_worker_with_its_guards",
    "drain_a_worker",
    "stop_a_worker_for_a_while",
}
_NO_ROOM = {"fill_the_disk"}
_NO_DISK = {"close_a_folder"}
_NO_TOOL = {"kill_a_guard", "kill_a_tool", "kill_a_worker_with_its_guards"}
# Which faults can end an attempt with this code.
CAUSES = {
    "worker_lost": _NO_WORKER | _NO_WORD,
    "tool_failed": _NO_TOOL | _NO_ROOM | _NO_DISK,
    "storage_full": _NO_ROOM,
    "storage_unavailable": _NO_DISK,
}


@dataclass(frozen=True)
class Hit:
    """A fault that met its target; times are by this machine's clock, as the store's are."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Attempt:
    """From the claim to the end of the attempt: a code, `given back`, or a final state."""

    began: float
    ended: float
    why: str


def attempts_of(story: Sequence[Line]) -> list[Attempt]:
    """The attempts of a job, from its timeline."""
    found, began = [], None
    for event in story:
        if event["event"] == "running":
            began = event["at"]
        elif began is not None and event["event"] in {"queued", "failed", "succeeded", "cancelled"}:
            why = event.get("why") or event.get("code") or event["event"]
            found.append(Attempt(began, event["at"], why))
            began = None
    return found


def failure_faults(
    documents: Mapping[str, Any],
    stories: Mapping[str, Sequence[Line]],
    hits: Sequence[Hit],
    begins: Mapping[str, int],
) -> list[str]:
    """Jobs that failed without a fault of their own, and too many failures."""
    failed = {id_: job for id_, job in documents.items() if job["state"] == "failed"}
    found = [
        f"I5 failed for no good reason ({reason}): {job_id} {job['error']}"
        for job_id, job in failed.items()
        if (reason := _no_reason(job, documents, stories[job_id], hits, begins.get(job_id, 0)))
    ]
    return found + _too_few(documents)


def _no_reason(
    job: Mapping[str, Any],
    documents: Mapping[str, Any],
    story: Sequence[Line],
    hits: Sequence[Hit],
    begins: int,
) -> str:
    """What is missing to explain this failure; empty if the failure is explained."""
    code = job["error"]["code"]
    if code in ASKED_FOR:
        return "" if ASKED_FOR[code] in job["spec"]["source"]["url"] else "it asked for nothing"
    parent = documents.get(job["depends_on"] or "", {"state": "unknown"})
    if code == "source_failed":
        return "" if parent["state"] == "failed" else f"its source is {parent['state']}"
    attempts = [it for it in attempts_of(story) if it.why != "given back"]
    if not attempts and parent["state"] == "failed" and parent["error"]["code"] == code:
        return ""  # equal work, at which another job failed
    if code not in CAUSES:
        return "no fault does that"
    if len(attempts) != MOST_ATTEMPTS:
        return f"after {len(attempts)} attempts"
    for attempt in attempts:
        causes = CAUSES.get(attempt.why, set())
        if attempt.why != "network_error" and not struck(hits, causes, attempt):
            return f"nothing was done that ends an attempt as {attempt.why}"
    # Between the claim and the begin of the work there are only writes to the store.
    if begins < MOST_ATTEMPTS and not any(struck(hits, _NO_WORD, it) for it in attempts):
        return f"begun {begins} times"
    return ""


def struck(hits: Sequence[Hit], names: set[str], attempt: Attempt) -> bool:
    """Whether one of these faults was active during an attempt, or just before."""
    return any(
        hit.name in names
        and hit.began <= attempt.ended
        and hit.ended >= attempt.began - LATE_SECONDS
        for hit in hits
    )


def _too_few(documents: Mapping[str, Any]) -> list[str]:
    ends = Counter(
        job["state"]
        for job in documents.values()
        if not any(word in job["spec"]["source"]["url"] for word in ASKED_FOR.values())
    )
    expected = ends.total() - ends["cancelled"]
    if ends["succeeded"] >= LEAST_SUCCESSES * expected:
        return []
    return [f"I5 only {ends['succeeded']} of {expected} jobs succeeded"]
