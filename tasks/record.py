"""A job as the store keeps it: ready for JSON, and read back equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import KINDS


def record_of(job: Job) -> dict[str, Any]:
    """The whole record, ready for JSON."""
    parts = {
        "spec": job.spec.to_dict(),
        "result": job.result and job.result.to_dict(),
        "error": job.error and vars(job.error),
    }
    return {**vars(job), "kind": job.kind, **parts}


def job_of(record: Mapping[str, Any]) -> Job:
    """The job that `record_of` wrote."""
    rest = dict(record)
    kind = KINDS[rest.pop("kind")]
    result, error, reason = rest["result"], rest["error"], rest["wait_reason"]
    return Job(
        **rest | {
            "spec": kind.spec_type.from_dict(rest["spec"]),
            "state": JobState(rest["state"]),
            "depends_on": tuple(rest["depends_on"]),
            "wait_reason": WaitReason(reason) if reason else None,
            "result": kind.result_type.from_dict(result) if result else None,
            "error": Failure(**error) if error else None,
        }
    )  # fmt: skip
