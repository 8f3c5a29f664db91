"""A job as the store keeps it: ready for JSON, and read back equal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tasks.errors import Unreadable
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import KINDS
from tasks.webhook import Webhook

# Of the form of a record. A newer version may add fields to a job without a new number: older ones
# keep them and write them back. With a new number, older versions leave the record alone.
VERSION = 1
_OWN = frozenset(item.name for item in fields(Job)) - {"unknown"}
_BESIDE = frozenset({"kind", "version"})


def record_of(job: Job) -> dict[str, Any]:
    """The whole record, ready for JSON."""
    own = {name: value for name, value in vars(job).items() if name in _OWN}
    parts = {
        "spec": job.spec.to_dict(),
        "result": job.result and job.result.to_dict(),
        "error": job.error and vars(job.error),
        "webhook": job.webhook and job.webhook.to_dict(),
    }
    return {"version": VERSION, **job.unknown, **own, "kind": job.kind, **parts}


def job_of(record: Mapping[str, Any]) -> Job:
    """The job that `record_of` wrote.

    What a newer version added to the job is kept as it is; what it added to a spec, or a kind or
    state of its own, cannot be honoured. Raises Unreadable.
    """
    try:
        return _job_of(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(
            f"this version of Clipmill cannot read the job ({error!r}): use the newer one"
        ) from error


def readable(text: bytes) -> Job | None:
    """The job of a record's text; None where only a newer version can read it."""
    try:
        return job_of(json.loads(text))
    except Unreadable:
        return None


def _job_of(record: Mapping[str, Any]) -> Job:
    if record.get("version", VERSION) > VERSION:
        raise ValueError(f"its form is number {record['version']}")
    kind = KINDS[record["kind"]]
    result, error, reason = record["result"], record["error"], record["wait_reason"]
    webhook = record.get("webhook")
    return Job(
        **{name: record[name] for name in _OWN & record.keys()} | {
            "spec": kind.spec_type.from_dict(record["spec"]),
            "state": JobState(record["state"]),
            "depends_on": tuple(record["depends_on"]),
            "wait_reason": WaitReason(reason) if reason else None,
            "result": kind.result_type.from_dict(result) if result else None,
            "error": Failure(**error) if error else None,
            "webhook": Webhook.from_dict(webhook) if webhook else None,
            "unknown": {
                name: value for name, value in record.items() if name not in _OWN | _BESIDE
            },
        }
    )  # fmt: skip
