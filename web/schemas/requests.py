"""The requests of jobs: a schema for each kind. Loading a schema returns a `JobRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema
from marshmallow_oneofschema.one_of_schema import OneOfSchema

from tasks.dispatch import JobRequest
from tasks.errors import Fault, NotBuilt
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.specs import (
    CLIP_MODES,
    DOWNLOAD_CONTAINERS,
    DOWNLOAD_SOUND_CONTAINERS,
    QUALITIES,
    Spec,
)
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
# No source has so many pictures a second that one of them is shown for less.
LEAST_CLIP_SECONDS = 0.001
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
    webhook = fields.Nested(
        WebhookSchema, metadata={"description": "Is told of the end of the job, and of its batch."}
    )

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
    container = choice(
        DOWNLOAD_CONTAINERS + DOWNLOAD_SOUND_CONTAINERS,
        "The format of the file; without it the site's own is kept.",
    )

    @validates_schema
    def container_fits_quality(self, values: dict[str, Any], **_: Any) -> None:
        sound = values.get("quality") == "audio"
        allowed = DOWNLOAD_SOUND_CONTAINERS if sound else DOWNLOAD_CONTAINERS
        if values.get("container", allowed[0]) not in allowed:
            of = "of quality audio" if sound else "with pictures; for sound alone set quality audio"
            message = f"must be one of {', '.join(allowed)} {of}, or be left out"
            raise ValidationError(message, "container")

    def spec_of(self, values: dict[str, Any]) -> Spec:
        return DownloadSpec(**values)


class ClipRequestSchema(RequestSchema):
    """Keep a range of a video."""

    source = fields.Nested(SourceSchema, required=True)
    start = MediaTime("Where the clip begins, from where a player starts to count.", required=True)
    end = MediaTime("Where the clip ends; without `end` and `duration`, with the media.")
    duration = MediaTime("How long the clip is, instead of `end`.")
    mode = choice(CLIP_MODES, "`auto` is the cheapest mode that is frame-exact.")
    output = fields.Nested(OutputSchema)

    @validates_schema
    def range_is_one(self, values: dict[str, Any], **_: Any) -> None:
        if "end" in values and "duration" in values:
            raise ValidationError("give one of end and duration, or none of them", "end")
        end = _end_of(values)
        if end is None:
            return
        name = "end" if "end" in values else "duration"
        if end - values["start"] < LEAST_CLIP_SECONDS:
            since = "after start" if name == "end" else "long"
            raise ValidationError(f"must be at least {LEAST_CLIP_SECONDS} s {since}", name)

    @validates_schema
    def copy_changes_nothing(self, values: dict[str, Any], **_: Any) -> None:
        output = values.get("output")
        if values.get("mode") != "copy" or output is None:
            return
        if output.changes_picture or output.container == "gif":
            raise ValidationError("a copy cannot change the picture", "mode")

    def spec_of(self, values: dict[str, Any]) -> Spec:
        values["end"] = _end_of(values)
        values.pop("duration", None)
        return ClipSpec(**values)


def _end_of(values: Mapping[str, Any]) -> float | None:
    """Where a clip ends, None: with the media. A sum is rounded to the microsecond as its parts."""
    if "end" in values:
        return float(values["end"])
    if "duration" not in values:
        return None
    return float(round(values["start"] + values["duration"], 6))


# Made once: making a schema costs more than loading a request with it.
REQUEST_SCHEMAS: Mapping[str, RequestSchema] = {
    "extract": ExtractRequestSchema(),
    "download": DownloadRequestSchema(),
    "clip": ClipRequestSchema(),
}


def refuse_unbuilt(data: Mapping[str, Any], pointer: str = "") -> None:
    """What the contract has and this version does not do is never accepted. Raises NotBuilt."""
    if data.get("kind") == "concat":
        message = "jobs of kind concat are not built yet"
        raise NotBuilt(message, (Fault(f"{pointer}/kind", message),))


class JobRequestSchema(OneOfSchema):
    """A job of any kind; `kind` decides which fields it may have."""

    type_field = "kind"
    type_schemas: Mapping[str, Schema] = REQUEST_SCHEMAS

    def _load(self, data: Any, **kwargs: Any) -> Any:
        # The base class repeats the client's data in its messages, however large or deep it is.
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        refuse_unbuilt(data)
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in REQUEST_SCHEMAS:
            raise ValidationError({"kind": [f"must be one of: {', '.join(REQUEST_SCHEMAS)}"]})
        return super()._load(data, **kwargs)  # type: ignore[no-untyped-call]  # the library's gap
