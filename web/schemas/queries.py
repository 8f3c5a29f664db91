"""The query parameters of URLs. Unknown names are rejected, as in bodies."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from tasks.batch import BATCH_STATES
from tasks.errors import job_error_codes
from tasks.job import JobState
from tasks.kinds import KINDS
from tasks.store import JobQuery
from web.schemas.fields import StrictInteger, StrictString, choice
from web.schemas.parts import StrictSchema
from web.schemas.requests import LONGEST_EXTERNAL_ID

LONGEST_WAIT_SECONDS = 60
MOST_LISTED = 200
JOB_VIEWS = ("full", "brief", "none")


class SecondsParameter(fields.Float):
    """Seconds from 0 to 60; `nan` is rejected."""

    def __init__(self, description: str) -> None:
        super().__init__(
            load_default=0.0,
            allow_nan=False,
            validate=validate.Range(min=0, max=LONGEST_WAIT_SECONDS),
            metadata={"description": description},
        )


class WaitSchema(StrictSchema):
    """How long an answer may wait for the end."""

    wait = SecondsParameter("Answer when the job or batch is final, or after this many seconds.")


class BatchQuerySchema(WaitSchema):
    """Waiting, and how much of each job the answer contains."""

    jobs = choice(JOB_VIEWS, "How much of each job the answer contains.", load_default="full")


class PageSchema(StrictSchema):
    """Which page of a list."""

    limit = fields.String(
        load_default="50",
        metadata={"description": f"How many, 1 to {MOST_LISTED}.", "example": "50"},
    )
    cursor = StrictString(
        validate=validate.Length(min=1, max=64),
        metadata={"description": "`next_cursor` of the previous page."},
    )

    @post_load
    def to_numbers(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**values, "limit": _limit(values["limit"])}


class JobListSchema(PageSchema):
    """Which jobs to list."""

    state = choice(tuple(JobState), "Only jobs in this state.")
    kind = choice(tuple(KINDS), "Only jobs of this kind.")
    batch_id = StrictString(validate=validate.Length(min=1, max=64))
    error_code = choice(tuple(job_error_codes()), "Only jobs that failed with this code.")
    external_id = StrictString(validate=validate.Length(min=1, max=LONGEST_EXTERNAL_ID))

    @post_load
    def to_query(self, values: dict[str, Any], **_: Any) -> JobQuery:
        return JobQuery(**values)


class BatchListSchema(PageSchema):
    """Which batches to list."""

    state = choice(BATCH_STATES, "Only batches in this state.")


class RetrySchema(StrictSchema):
    """Which failed jobs to run again."""

    kind = choice(tuple(KINDS), "Only jobs of this kind.")
    error_code = choice(tuple(job_error_codes()), "Only jobs that failed with this code.")
    batch_id = StrictString(validate=validate.Length(min=1, max=64))
    limit = StrictInteger(
        load_default=MOST_LISTED,
        validate=validate.Range(min=1, max=MOST_LISTED),
        metadata={"description": "How many at most."},
    )

    @post_load
    def to_query(self, values: dict[str, Any], **_: Any) -> JobQuery:
        return JobQuery(**values)


class DownloadFlagSchema(StrictSchema):
    """How a file is offered."""

    download = choice(("0", "1"), "1: offer to save the file instead of showing it.")


def _limit(text: str) -> int:
    # Not `int`, which accepts spaces, underscores and the digits of every script.
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValidationError("not a valid integer", "limit")
    number = int(text)
    if not 1 <= number <= MOST_LISTED:
        raise ValidationError(f"must be from 1 to {MOST_LISTED}", "limit")
    return number
