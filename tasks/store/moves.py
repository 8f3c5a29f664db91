"""What the script that writes a job receives, and what it may answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactGone, CancelRequested, Conflict, QueueFull, SourceGone
from tasks.ids import IdMaker
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import KINDS, DownloadResult
from tasks.store.packing import packed_text
from tasks.webhook import Webhook, server_of

# One step of priority is worth this much waiting: high priority goes first, low never starves.
PRIORITY_SECONDS = 60.0
_new_event_id = IdMaker()


@dataclass(frozen=True)
class Extras:
    """What else is written together with a job."""

    tally: Mapping[str, float] = field(default_factory=dict)  # to be added to counters
    artifacts: Sequence[tuple[StoredArtifact, bool]] = ()  # each with whether its file is new
    cache_key: str | None = None
    why: str | None = None  # for the timeline: why the job was released or requeued


NOTHING_ELSE = Extras()


@dataclass(frozen=True)
class NewSources:
    """Downloads that jobs need, recorded together with these jobs.

    `outdated` names the leaders that equal work must not follow any more, by fingerprint.
    """

    downloads: tuple[Job, ...] = ()
    outdated: Mapping[str, str] = field(default_factory=dict)


NO_NEW_SOURCES = NewSources()


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may be queued, in all and of one owner."""

    total: int
    of_owner: int

    def to_dict(self) -> dict[str, int]:
        """For the script that writes jobs."""
        return {"most_queued": self.total, "most_queued_of_owner": self.of_owner}


def external_index(external_id: str) -> str:
    """The name under which an external id is indexed: short and free of odd characters."""
    return sha256(external_id.encode()).hexdigest()[:32]


def stage_of(job: Job) -> str:
    """The stage of a job that no worker holds: ready, delayed, waiting or final."""
    if job.state.final:
        return "final"
    if job.wait_reason is WaitReason.DEPENDENCY:
        return "waiting"
    return "delayed" if job.not_before is not None else "ready"


def _event_of(before: Job | None, job: Job, why: str | None) -> dict[str, Any] | None:
    """The line of the timeline for this change; None for mere progress."""
    if before is None or before.state is not job.state:
        happened: dict[str, Any] = {"event": job.state}
    elif before.phase != job.phase:
        happened = {"event": "phase", "phase": job.phase}
    elif before.wait_reason is not job.wait_reason:
        happened = {"event": "waiting" if job.wait_reason else "ready"}
    else:
        return None
    details = {
        "attempt": job.attempt or None,
        "wait_reason": job.wait_reason,
        "code": job.error.code if job.error else None,
        "why": why,
    }
    return happened | {name: value for name, value in details.items() if value is not None}


def change_of(
    job: Job,
    before: Job | None,
    extras: Extras,
    outdated: Mapping[str, str],
    tally: Mapping[str, float],
) -> dict[str, Any]:
    """All that the script needs of a job besides its record and its public document.

    `tally` is what the change itself adds to counters, beside the tally of `extras`.
    """
    change = {
        "write": secrets.token_hex(8),
        "id": job.id,
        "kind": job.kind,
        "owner": job.owner,
        "batch": job.batch_id,
        "fairness_group": job.batch_id or job.fairness_group,
        "internal": job.internal or None,
        "external": job.external_id and external_index(job.external_id),
        "state": job.state,
        "stage": stage_of(job),
        "flight": None if job.state.final else job.fingerprint,
        # For the batch: every end counts as 1, so that a final batch is at 1 also with failed jobs.
        "progress": 1.0 if job.state.final else job.progress,
        "queued_at": job.queued_at,
        "priority": job.priority,
        "priority_seconds": PRIORITY_SECONDS,
        "code": job.error.code if job.error else None,
        "event": _event_of(before, job, extras.why),
        "score": job.queued_at - job.priority * PRIORITY_SECONDS,
        "not_before": job.not_before,
        "outdated": outdated.get(job.fingerprint) if job.fingerprint else None,
        "depends_on": job.depends_on or None,
        "depended_on": (before and before.depends_on) or None,
        "counters": _sum(tally, extras.tally),
        "cache_key": extras.cache_key,
        "artifacts": [_artifact(item, new) for item, new in extras.artifacts],
        "used": _used(job),
        **_told(job),
    }  # fmt: skip
    # An absent field is nil in Lua; a JSON null would be a value that counts as true.
    return {name: value for name, value in change.items() if value is not None}


def _artifact(item: StoredArtifact, new: bool) -> dict[str, Any]:
    meta = packed_text(json.dumps(item.to_dict()))
    return {"id": item.id, "size_bytes": item.size_bytes, "new": new, "meta": meta}


def _used(job: Job) -> dict[str, float] | None:
    """What the work of a job counts against the day of its owner; None where it is nothing."""
    result = job.result
    if result is None or job.state is not JobState.SUCCEEDED:
        return None
    if KINDS[job.kind].reads_site or not KINDS[job.kind].asked_for:  # it brought its files here
        if isinstance(result, DownloadResult) and result.deduplicated:
            return None
        return {"bytes": sum(it.size_bytes for it in result.artifacts), "seconds": 0.0}
    return {"bytes": 0, "seconds": (result.main and result.main.duration_seconds) or 0.0}


def _told(job: Job) -> dict[str, Any]:
    """For a job that ends: the ids of its event and its batch's, and who it names to be told."""
    if not job.state.final or job.internal or not KINDS[job.kind].asked_for:
        return {}
    told = {"event_id": _new_event_id(), "batch_event_id": job.batch_id and _new_event_id()}
    if job.webhook is None:
        return told
    return told | {"webhook": target(job.owner, job.webhook)}


def target(owner: str, webhook: Webhook) -> dict[str, Any]:
    """A webhook as the script reads it."""
    return {**webhook.to_dict(), "endpoint": server_of(owner, webhook.url)}


def _sum(*tallies: Mapping[str, float]) -> dict[str, float]:
    names = {name for tally in tallies for name in tally}
    return {name: sum(tally.get(name, 0) for tally in tallies) for name in sorted(names)}


def raise_refusal(answer: list[bytes], *, lost: type[Conflict]) -> list[str]:
    """The stages of the jobs; raises the reason why the script refused to write them.

    `lost` is the error for a job that has changed meanwhile.
    """
    status, *stages = [part.decode() for part in answer]
    if status == "ok":
        return stages
    raise {
        "full": QueueFull("too many jobs wait already, try again later"),
        "full for owner": QueueFull("too many jobs of this key wait already, try again later"),
        "conflict": lost("the job has changed"),
        "no source": SourceGone("the job that delivers the source is gone"),
        "cancelled": CancelRequested("the client asked to stop this job"),
        "gone": ArtifactGone("the file has been removed"),
    }[status]
