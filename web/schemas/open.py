"""The base of all answers: open, since later versions may add fields, which clients leave out."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema


class AnswerSchema(Schema):
    """What the API answers."""

    class Meta:
        unknown = EXCLUDE
