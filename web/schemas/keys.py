"""The answers about keys. Nobody is shown a key or its hash."""

from __future__ import annotations

from marshmallow import fields

from web.schemas.open import AnswerSchema


class KeySchema(AnswerSchema):
    """A key: what it may do, and what limits it."""

    name = fields.String()
    scopes = fields.List(fields.String())
    expires_at = fields.DateTime(allow_none=True)
    networks = fields.List(fields.String(), metadata={"description": "Empty: all."})
    limits = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        metadata={"description": "Those that are set, such as `requests_per_minute`."},
    )
    last_used_at = fields.DateTime(allow_none=True)


class UsedSchema(AnswerSchema):
    """What a key has used since midnight UTC."""

    bytes = fields.Integer()
    media_seconds = fields.Float()


class OwnKeySchema(KeySchema):
    """The key of the request, and what it has used today."""

    used_today = fields.Nested(UsedSchema)


class AdoptedSchema(AnswerSchema):
    """What a key was given."""

    adopted = fields.Integer()
    left = fields.Integer(metadata={"description": "Jobs that run now: ask again later."})


class KeyListSchema(AnswerSchema):
    """All keys."""

    keys = fields.List(fields.Nested(KeySchema))
