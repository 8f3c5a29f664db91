"""Webhooks: what clients send, and the answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from tasks.outbox.deliveries import STATES, DeliveryQuery
from tasks.webhook import EVENTS
from web.schemas.fields import StrictString, choice
from web.schemas.open import AnswerSchema
from web.schemas.parts import StrictSchema
from web.schemas.queries import PageSchema

_ENDED = ("delivered", "failed")


class EndpointSchema(AnswerSchema):
    """A registered URL."""

    id = fields.String()
    url = fields.String()
    events = fields.List(fields.String(validate=validate.OneOf(EVENTS)))
    created_at = fields.DateTime()
    disabled = fields.String(
        allow_none=True, metadata={"description": "Why nothing is sent; null: it is in use."}
    )
    failures = fields.Integer(metadata={"description": "Failed tries since the last success."})
    waiting = fields.Integer(metadata={"description": "Deliveries that wait for a try."})


class EndpointListSchema(AnswerSchema):
    """All registered URLs of the key."""

    webhooks = fields.List(fields.Nested(EndpointSchema))


class SecretSchema(AnswerSchema):
    """What `webhook-signature` is made with."""

    secret = fields.String(metadata={"example": "whsec_…"})
    previous = fields.String(allow_none=True, metadata={"description": "Signs too, for a day."})
    previous_until = fields.DateTime(allow_none=True)


class TrySchema(AnswerSchema):
    """One try of a delivery."""

    at = fields.DateTime()
    status = fields.Integer(metadata={"description": "Of the answer, if there was one."})
    error = fields.String(metadata={"description": "Why it failed."})
    seconds = fields.Float()


class DeliverySchema(AnswerSchema):
    """One message to one URL. `id` is the header `webhook-id`."""

    id = fields.String()
    type = fields.String(validate=validate.OneOf(EVENTS))
    url = fields.String()
    webhook_id = fields.String(
        allow_none=True, metadata={"description": "The registered webhook; null: the job's own."}
    )
    job_id = fields.String(allow_none=True)
    batch_id = fields.String(allow_none=True)
    state = fields.String(validate=validate.OneOf(STATES))
    created_at = fields.DateTime()
    next_try_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    attempts = fields.Integer()
    tries = fields.List(fields.Nested(TrySchema), metadata={"description": "The last ones."})


class DeliveryPageSchema(AnswerSchema):
    """Deliveries, newest first."""

    deliveries = fields.List(fields.Nested(DeliverySchema))
    next_cursor = fields.String(allow_none=True)


class DeliveryListSchema(PageSchema):
    """Which deliveries to list."""

    state = choice(STATES, "Only deliveries in this state.")
    type = choice(EVENTS, "Only deliveries of this event.")
    job_id = StrictString(validate=validate.Length(min=1, max=64))
    batch_id = StrictString(validate=validate.Length(min=1, max=64))

    @post_load
    def to_query(self, values: dict[str, Any], **_: Any) -> DeliveryQuery:
        if "job_id" in values and "batch_id" in values:
            raise ValidationError("give one of job_id and batch_id", "batch_id")
        subject = values.pop("job_id", None) or values.pop("batch_id", None)
        return DeliveryQuery(**values, subject=subject)


class ReplaySchema(StrictSchema):
    """Which deliveries to send again, by the time of their events."""

    since = fields.AwareDateTime(required=True, format="iso")
    until = fields.AwareDateTime(format="iso")
    state = choice(_ENDED, "Only those that ended so; left out: all that ended.")

    @post_load
    def to_range(self, values: dict[str, Any], **_: Any) -> tuple[float, float, str | None]:
        until: datetime | None = values.get("until")
        since = values["since"].timestamp()
        end = until.timestamp() if until else float("inf")
        if end < since:
            raise ValidationError("must not be before since", "until")
        return since, end, values.get("state")


class ReplayedSchema(AnswerSchema):
    """How many deliveries are sent again."""

    redelivered = fields.Integer()


class PublicKeySchema(AnswerSchema):
    """A key that verifies `v1a` signatures (ed25519)."""

    public_key = fields.String(metadata={"example": "whpk_…"})


class PublicKeysSchema(AnswerSchema):
    """The keys that verify `v1a` signatures."""

    keys = fields.List(fields.Nested(PublicKeySchema))
