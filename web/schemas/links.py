"""Links that work without a key."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from tasks.access.link_secrets import LONGEST_LINK_SECONDS
from web.schemas.fields import StrictNumber, StrictString
from web.schemas.open import AnswerSchema
from web.schemas.parts import StrictSchema


class LinkRequestSchema(StrictSchema):
    """How long a link shall work."""

    expires_in = StrictNumber(
        load_default=3600.0,
        validate=validate.Range(min=1, max=LONGEST_LINK_SECONDS),
        metadata={"description": "Seconds, up to seven days.", "default": 3600},
    )


class EventLinkRequestSchema(LinkRequestSchema):
    """What to follow: one job, one batch, or all that the key may see."""

    job_id = StrictString(validate=validate.Length(min=1, max=64))
    batch_id = StrictString(validate=validate.Length(min=1, max=64))

    @validates_schema
    def at_most_one(self, values: dict[str, Any], **_: Any) -> None:
        if "job_id" in values and "batch_id" in values:
            raise ValidationError("give one of job_id and batch_id, or none", "batch_id")


class LinkSchema(AnswerSchema):
    """A path on this API that works without a key until then."""

    url = fields.String()
    expires_at = fields.DateTime()
