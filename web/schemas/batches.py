"""The request of a batch: jobs, and defaults for all of them."""

from __future__ import annotations

import json
from typing import Any

from marshmallow import ValidationError, fields, post_load, pre_load

from config.values import MIB
from tasks.dispatch import JobRequest
from web.schemas.parts import StrictSchema
from web.schemas.requests import JobRequestSchema, refuse_unbuilt

MOST_JOBS = 1000
# The defaults are checked with every job. No job can have more than half of this.
_LONGEST_DEFAULTS = 65_536
# The defaults are repeated in every job: a short request must not become a huge batch.
_LONGEST_MERGED = 8 * MIB


class BatchRequestSchema(StrictSchema):
    """Up to 1,000 jobs, each merged over the defaults; `source` and `output` as a whole."""

    jobs = fields.List(fields.Nested(JobRequestSchema), required=True)

    @pre_load
    def merge_defaults(self, data: Any, **_: Any) -> Any:
        """`defaults` under each job. A job that is no object stays; its field reports the fault."""
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        rest = dict(data)
        defaults = rest.pop("defaults", {})
        if not isinstance(defaults, dict):
            raise ValidationError("must be an object", "defaults")
        length = len(json.dumps(defaults, ensure_ascii=False).encode())
        if length > _LONGEST_DEFAULTS:
            raise ValidationError(f"longer than {_LONGEST_DEFAULTS} characters", "defaults")
        jobs = data.get("jobs")
        if isinstance(jobs, list):
            if not 1 <= len(jobs) <= MOST_JOBS:
                raise ValidationError(f"must hold 1 to {MOST_JOBS} jobs", "jobs")
            if length * len(jobs) > _LONGEST_MERGED:
                most = _LONGEST_MERGED // len(jobs)
                raise ValidationError(f"longer than {most} bytes for {len(jobs)} jobs", "defaults")
            rest["jobs"] = [_merged(defaults, job) for job in jobs]
            for place, job in enumerate(rest["jobs"]):
                if isinstance(job, dict):
                    refuse_unbuilt(job, f"/jobs/{place}")
        return rest

    @post_load
    def to_requests(self, values: dict[str, Any], **_: Any) -> list[JobRequest]:
        jobs: list[JobRequest] = values["jobs"]
        return jobs


def _merged(defaults: dict[str, Any], job: Any) -> Any:
    if not isinstance(job, dict):
        return job
    merged = {**defaults, **job}
    # A job that has `end` must not get `duration` from the defaults, and the reverse.
    for named, other in (("end", "duration"), ("duration", "end")):
        if named in job and other not in job:
            merged.pop(other, None)
    return merged
