"""Parts that the requests of several kinds share: source, output, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import (
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    validate,
    validates_schema,
)

from tasks.addresses import MAX_URL_LENGTH
from tasks.specs import (
    AUDIO_CHOICES,
    CLIP_CONTAINERS,
    CLIP_QUALITIES,
    FITS,
    SOUND_CONTAINERS,
    SUBTITLE_CHOICES,
    Output,
    Source,
)
from tasks.webhook import EVENTS, Webhook
from web.schemas.fields import (
    StrictBoolean,
    StrictInteger,
    StrictNumber,
    StrictString,
    TrackChoice,
    choice,
)
from web.schemas.filenames import LONGEST_NAME, fault_of_name

# 8K is the largest picture that any mode can make; below 16 no encoder works.
_PIXELS = validate.Range(min=16, max=7680)
_PICTURE_FIELDS = ("width", "height", "fps")
MOST_METADATA = 16
# Longer than any id of ours, and short enough for an error message.
_ID = validate.Length(min=1, max=64)


class StrictSchema(Schema):
    """Rejects unknown fields, by name."""

    class Meta:
        unknown = RAISE


class UrlSourceSchema(StrictSchema):
    """Where media comes from, for a job that reads a page or fetches a file."""

    url = StrictString(
        required=True,
        validate=validate.Length(min=1, max=MAX_URL_LENGTH),
        metadata={"description": "An http or https URL.", "example": "https://example.org/v/1"},
    )

    @post_load
    def to_value(self, values: dict[str, Any], **_: Any) -> Source:
        return Source(**values)


class SourceSchema(StrictSchema):
    """Where media comes from: exactly one of the three."""

    url = StrictString(
        validate=validate.Length(min=1, max=MAX_URL_LENGTH),
        metadata={"description": "An http or https URL.", "example": "https://example.org/v/1"},
    )
    job_id = StrictString(
        validate=_ID,
        metadata={"description": "The artifact of a job, finished or not, that gives media."},
    )
    upload_id = StrictString(validate=_ID, metadata={"description": "A file that was sent."})

    @validates_schema
    def exactly_one(self, values: dict[str, Any], **_: Any) -> None:
        if len(values) != 1:
            raise ValidationError("give exactly one of url, job_id and upload_id")

    @post_load
    def to_value(self, values: dict[str, Any], **_: Any) -> Source:
        return Source(**values)


class WebhookSchema(StrictSchema):
    """A URL that is told of events."""

    url = StrictString(
        required=True,
        validate=validate.Length(min=1, max=MAX_URL_LENGTH),
        metadata={"description": "An http or https URL.", "example": "https://example.org/hook"},
    )
    events = fields.List(
        StrictString(validate=validate.OneOf(EVENTS)),
        validate=validate.Length(min=1),
        metadata={"description": "Of which it is told; left out: of all."},
    )

    @post_load
    def to_value(self, values: dict[str, Any], **_: Any) -> Webhook:
        events = values.get("events", EVENTS)
        return Webhook(values["url"], tuple(name for name in EVENTS if name in events))


class OutputSchema(StrictSchema):
    """How a clip shall look; what is left out stays as the source has it."""

    container = choice(CLIP_CONTAINERS, "Default: the source's, if a clip may have it.")
    width = StrictInteger(validate=_PIXELS, metadata={"description": "Pixels."})
    height = StrictInteger(validate=_PIXELS, metadata={"description": "Pixels."})
    fit = choice(FITS, "How the picture fills width by height.")
    fps = StrictNumber(validate=validate.Range(min=1, max=240))
    quality = choice(CLIP_QUALITIES, "Of what has to be encoded.")
    audio = choice(AUDIO_CHOICES, "Whether the clip has sound.")
    audio_track = TrackChoice(
        "The number of a sound track, counted from 0, its language as the file names it, or "
        '"all". Default: all where the container takes them, else the default one.'
    )
    subtitles = choice(
        SUBTITLE_CHOICES,
        "Text subtitles: kept beside the pictures, dropped, or drawn into the pictures.",
    )
    thumbnail = StrictBoolean(metadata={"description": "Also store a JPEG of the first frame."})
    filename = StrictString(
        metadata={"description": "The name a download gets.", "maxLength": LONGEST_NAME},
    )

    @validates_schema
    def name_is_safe(self, values: dict[str, Any], **_: Any) -> None:
        fault = fault_of_name(values["filename"]) if "filename" in values else None
        if fault is not None:
            raise ValidationError(fault, "filename")

    @validates_schema
    def sound_has_no_picture(self, values: dict[str, Any], **_: Any) -> None:
        if values.get("container") in SOUND_CONTAINERS:
            for name in (*_PICTURE_FIELDS, "thumbnail"):
                if values.get(name):
                    raise ValidationError("a container for sound alone has no picture", name)
            if values.get("subtitles") == "burn":
                raise ValidationError("a container for sound alone has no picture", "subtitles")

    @validates_schema
    def a_track_needs_sound(self, values: dict[str, Any], **_: Any) -> None:
        silent = values.get("audio") == "drop" or values.get("container") == "gif"
        if silent and "audio_track" in values:
            raise ValidationError("the clip has no sound", "audio_track")

    @post_load
    def to_value(self, values: dict[str, Any], **_: Any) -> Output:
        return Output(**values)


def _few_entries(value: Mapping[str, str]) -> None:
    # Not `Length`, which the document would show as the length of a text.
    if len(value) > MOST_METADATA:
        raise ValidationError(f"at most {MOST_METADATA} entries")


class StringMap(fields.Dict):
    """A flat map of short strings. A fault points at the entry, not at marshmallow's inner path."""

    def __init__(self, description: str) -> None:
        super().__init__(
            keys=StrictString(validate=validate.Length(min=1, max=64)),
            values=StrictString(validate=validate.Length(max=512)),
            validate=_few_entries,
            metadata={"description": description, "maxProperties": MOST_METADATA},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # the library's gap
        except ValidationError as error:
            messages = error.messages
            if isinstance(messages, dict):
                messages = {
                    name: [text for texts in parts.values() for text in texts]
                    for name, parts in messages.items()
                }
            raise ValidationError(messages) from error
