"""Fields that accept only their JSON type: a number is no string, true is no 1, NaN is rejected."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

# A thousand hours: longer than any media, small enough for exact arithmetic in microseconds.
MAX_MEDIA_SECONDS = 3_600_000
MOST_TRACKS = 64  # as many streams as a file may have
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3}", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,3}):([0-5]?\d)|(\d{1,4})):([0-5]\d(?:\.\d{1,9})?)", re.ASCII)
_SECONDS = re.compile(r"(\d{1,7}(?:\.\d{1,9})?) ?s?", re.ASCII)


class StrictString(fields.String):
    """Text without control characters."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if any(unicodedata.category(character) == "Cc" for character in text):
            raise ValidationError("must not hold control characters")
        return text


class StrictInteger(fields.Integer):
    """A whole number without a decimal point."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class StrictBoolean(fields.Boolean):
    """true or false, not a text or number for it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class StrictNumber(fields.Float):
    """A finite number."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        return finite(value)


class TrackChoice(fields.Field[int | str]):
    """One of several tracks: its number, its language, or "all"."""

    def __init__(self, description: str) -> None:
        spellings = [
            {"type": "integer", "minimum": 0, "maximum": MOST_TRACKS - 1},
            {"type": "string", "pattern": f"^{_LANGUAGE.pattern}$", "example": "eng"},
        ]
        super().__init__(metadata={"oneOf": spellings, "description": description})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TRACKS:
            return value
        if isinstance(value, str) and _LANGUAGE.fullmatch(value):
            return value
        raise ValidationError('must be the number of a track from 0, a language, or "all"')


class MediaTime(fields.Field[float]):
    """A time in media to the microsecond: seconds (`90`, `"90s"`), or `1:05`, `HH:MM:SS.mmm`."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        spellings = [
            {"type": "number", "minimum": 0, "maximum": MAX_MEDIA_SECONDS},
            {
                "type": "string",
                "pattern": f"^(?:{_CLOCK.pattern}|{_SECONDS.pattern})$",
                "example": "00:00:12.500",
            },
        ]
        super().__init__(metadata={"oneOf": spellings, "description": description}, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        seconds = _clock(value) if isinstance(value, str) else finite(value)
        if not 0 <= seconds <= MAX_MEDIA_SECONDS:
            raise ValidationError(f"must be from 0 to {MAX_MEDIA_SECONDS} seconds")
        return round(seconds, 6)  # so that 0.1 and 0.2 make 0.3, and 5e-324 is no time at all


def finite(value: Any) -> float:
    """The number. Raises ValidationError for any other value, also for NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError("not a valid number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValidationError("too large a number") from error
    if not math.isfinite(number):
        raise ValidationError("must be a finite number")
    return number


def _clock(text: str) -> float:
    if (plain := _SECONDS.fullmatch(text)) is not None:
        return float(plain[1])
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValidationError(
            "must be seconds (90, 90s), M:SS, or H:MM:SS.mmm with minutes and seconds below 60"
        )
    hours, minutes, minutes_alone, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or minutes_alone) * 60 + float(seconds)


def choice(names: tuple[str, ...], description: str, **kwargs: Any) -> StrictString:
    """One of these words."""
    return StrictString(
        validate=validate.OneOf(names), metadata={"description": description}, **kwargs
    )
