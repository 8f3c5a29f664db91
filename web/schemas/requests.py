"""The requests of jobs: a schema for each kind. Loading a schema returns a `JobRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema
from marshmallow_oneofschema.one_of_schema import OneOfSchema

from tasks.dispatch import JobRequest
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.specs import CLIP_MODES, DOWNLOAD_CONTAINERS, QUALITIES, Spec
from web.schemas.fields import MediaTime, StrictInteger, StrictString, choice
from web.schemas.parts import (
    OutputSchema,
    SourceSchema,
    StrictSchema,
    StringMap,
    UrlSourceSchema,
    WebhookSchema,
)

MOST_PLAYLIST_ITEMS = 1000
LONGEST_EXTERNAL_ID = 128
_OF_ANY_KIND = ("priority", "external_id", "metadata", "webhook")


class RequestSchema(StrictSchema):
    """The fields of a job of any kind."""

    priority = StrictInteger(
        validate=validate.Range(min=0, max=9),
        metadata={"description": "9 goes first.", "default": 5},
    )
    external_id = StrictString(
        validate=validate.Length(min=1, max=LONGEST_EXTERNAL_ID),
        metadata={"description": "The client's own name for the job, to find it by."},
    )
    metadata = StringMap("The client's own notes, returned unchanged.")
    webhook = fields.Nested(WebhookSchema)

    def spec_of(self, values: dict[str, Any]) -> Spec:
        """The spec, made from the fields of its kind alone."""
        raise NotImplementedError

    @post_load
    def to_request(self, values: dict[str, Any], **_: Any) -> JobRequest:
        rest = {name: values.pop(name) for name in _OF_ANY_KIND if name in values}
        return JobRequest(self.spec_of(values), **rest)


class ExtractRequestSchema(RequestSchema):
    """Read a page's metadata."""

    source = fields.Nested(UrlSourceSchema, required=True)
    playlist_items = StrictInteger(
        validate=validate.Range(min=0, max=MOST_PLAYLIST_ITEMS),
        metadata={"description": "How many entries of a playlist to list.", "default": 0},
    )

    def spec_of(self, values: dict[str, Any]) -> Spec:
        return ExtractSpec(**values)


class DownloadRequestSchema(RequestSchema):
    """Fetch the media behind a URL as one file."""

    source = fields.Nested(UrlSourceSchema, required=True)
    quality = choice(QUALITIES, "The best picture up to this height.")
    container = choice(DOWNLOAD_CONTAINERS, "The format of the file.")

    def spec_of(self, values: dict[str, Any]) -> Spec:
        return DownloadSpec(**values)


class ClipRequestSchema(RequestSchema):
    """Keep a range of a video."""

    source = fields.Nested(SourceSchema, required=True)
    start = MediaTime("Where the clip begins, from where a player starts to count.", required=True)
    end = MediaTime("Where the clip ends. Set `end` or `duration`.")
    duration = MediaTime("How long the clip is, instead of `end`.")
    mode = choice(CLIP_MODES, "`auto` is the cheapest mode that is frame-exact.")
    output = fields.Nested(OutputSchema)

    @validates_schema
    def range_is_one(self, values: dict[str, Any], **_: Any) -> None:
        if ("end" in values) == ("duration" in values):
            raise ValidationError("give exactly one of end and duration", "end")
        if "end" in values and values["start"] >= values["end"]:
            raise ValidationError("must be after start", "end")
        if (
            "duration" in values
            and _end_after(values["start"], values["duration"]) == values["start"]
        ):
            raise ValidationError("must be above 0", "duration")

    @validates_schema
    def copy_changes_nothing(self, values: dict[str, Any], **_: Any) -> None:
        output = values.get("output")
        if values.get("mode") != "copy" or output is None:
            return
        if output.changes_picture or output.container == "gif":
            raise ValidationError("a copy cannot change the picture", "mode")

    def spec_of(self, values: dict[str, Any]) -> Spec:
        duration = values.pop("duration", None)
        if duration is not None:
            values["end"] = _end_after(values["start"], duration)
        return ClipSpec(**values)


def _end_after(start: float, duration: float) -> float:
    """Rounded to the microsecond, so that 0.1 and 0.2 make 0.3."""
    return round(start + duration, 6)


# Made once: making a schema costs more than loading a request with it.
REQUEST_SCHEMAS: Mapping[str, RequestSchema] = {
    "extract": ExtractRequestSchema(),
    "download": DownloadRequestSchema(),
    "clip": ClipRequestSchema(),
}


class JobRequestSchema(OneOfSchema):
    """A job of any kind; `kind` decides which fields it may have."""

    type_field = "kind"
    type_schemas: Mapping[str, Schema] = REQUEST_SCHEMAS

    def _load(self, data: Any, **kwargs: Any) -> Any:
        # The base class repeats the client's data in its messages, however large or deep it is.
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in REQUEST_SCHEMAS:
            raise ValidationError({"kind": [f"must be one of: {', '.join(REQUEST_SCHEMAS)}"]})
        return super()._load(data, **kwargs)  # type: ignore[no-untyped-call]  # the library's gap
