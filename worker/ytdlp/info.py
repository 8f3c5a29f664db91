"""The metadata that yt-dlp found, as the `info` that clients see.

The site wrote all of it, so nothing is trusted: texts are bounded and made encodable, numbers are
checked, and a value that is missing, odd or too large becomes None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

TITLE_LENGTH = 5_000
DESCRIPTION_LENGTH = 20_000
NAME_LENGTH = 500
URL_LENGTH = 4_096
MAX_FORMATS = 500
MAX_NUMBER = 1e15

# The fields that are asked for, by yt-dlp's names.
FORMAT_FIELDS = (
    "format_id", "ext", "width", "height", "fps", "vcodec", "acodec", "tbr",
    "filesize", "filesize_approx", "protocol",
)  # fmt: skip
ITEM_FIELDS = (
    "id", "title", "description", "duration", "thumbnail", "extractor", "extractor_key",
    "uploader", "upload_date", "view_count", "like_count", "is_live", "live_status",
    "webpage_url", "url", *FORMAT_FIELDS,
)  # fmt: skip
LIST_FIELDS = (
    "id", "title", "description", "thumbnail", "extractor", "uploader", "upload_date",
    "view_count", "webpage_url",
)  # fmt: skip

_HTML5 = "HTML5MediaEmbed"
# NUL and other controls are no text; lone surrogates cannot be encoded.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_LINE_BREAK = re.compile(r"[ \t]*[\t\r\n\u2028\u2029][ \t\r\n\u2028\u2029]*")


def to_info(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The public `info` of one item, or of a list with its `entries`."""
    return {
        **_common(raw),
        "title": _title(raw),
        "description": _text(raw.get("description"), DESCRIPTION_LENGTH),
        "formats": [_format(each) for each in _formats(raw)],
        "entries": [_entry(each) for each in _mappings(raw.get("entries"))],
    }


def _entry(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One item of a list: the fields that are known without opening it."""
    return {**_common(raw), "title": _line(raw.get("title"), TITLE_LENGTH)}


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": _line(raw.get("id"), NAME_LENGTH),
        "duration_seconds": number(raw.get("duration")),
        "thumbnail": _url(raw.get("thumbnail")),
        "platform": _platform(raw),
        "uploader": _line(raw.get("uploader"), NAME_LENGTH),
        "upload_date": _day(raw.get("upload_date")),
        "view_count": _count(raw.get("view_count")),
        "like_count": _count(raw.get("like_count")),
        "is_live": _is_live(raw),
        "webpage_url": _url(raw.get("webpage_url")) or _url(raw.get("url")),
    }


def _title(raw: Mapping[str, Any]) -> str | None:
    """The title, without the " (1)" that yt-dlp appends for a page's only video."""
    title = _line(raw.get("title"), TITLE_LENGTH + 4)
    if title and raw.get("extractor_key") == _HTML5:
        title = title.removesuffix(" (1)")
    return _line(title, TITLE_LENGTH)


def _platform(raw: Mapping[str, Any]) -> str | None:
    """The site, in lower case and without the part of it (`youtube:tab`)."""
    name = _line(raw.get("extractor"), NAME_LENGTH)
    if not name:
        return None
    return "generic" if raw.get("extractor_key") == _HTML5 else name.lower().split(":")[0]


def _is_live(raw: Mapping[str, Any]) -> bool | None:
    if isinstance(raw.get("is_live"), bool):
        return bool(raw["is_live"])
    status = raw.get("live_status")
    return status == "is_live" if isinstance(status, str) else None


def _formats(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The formats; an item that is its only format counts as one."""
    formats = _mappings(raw.get("formats"))[:MAX_FORMATS]
    return formats or ([raw] if raw.get("format_id") else [])


def _format(raw: Mapping[str, Any]) -> dict[str, Any]:
    kilobits = number(raw.get("tbr"))
    return {
        "format_id": _line(raw.get("format_id"), NAME_LENGTH),
        "ext": _line(raw.get("ext"), NAME_LENGTH),
        "width": _count(raw.get("width")),
        "height": _count(raw.get("height")),
        "fps": number(raw.get("fps")),
        "video_codec": _codec(raw.get("vcodec")),
        "audio_codec": _codec(raw.get("acodec")),
        "bitrate": None if kilobits is None else round(kilobits * 1000),  # bits a second
        "size_bytes": _count(raw.get("filesize")) or _count(raw.get("filesize_approx")),
        "protocol": _line(raw.get("protocol"), NAME_LENGTH),
    }


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _codec(value: Any) -> str | None:
    """The codec; None for no such stream, and for an unknown codec."""
    return None if value == "none" else _line(value, NAME_LENGTH)


def _text(value: Any, length: int) -> str | None:
    """Text of several lines, safe to encode as UTF-8."""
    if not isinstance(value, str):
        return None
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[:length])


def _line(value: Any, length: int) -> str | None:
    """Text on one line."""
    text = _text(value, length)
    return None if text is None else _LINE_BREAK.sub(" ", text).strip()


def _url(value: Any) -> str | None:
    """A web address; a browser may be sent there, so no other scheme gets through."""
    if not isinstance(value, str) or len(value) > URL_LENGTH or _UNPRINTABLE.search(value):
        return None
    return value if re.match(r"https?://[^\s/]\S*\Z", value, re.IGNORECASE) else None


def number(value: Any) -> float | None:
    """A finite number that is not negative; True is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MAX_NUMBER else None  # which NaN is not


def _count(value: Any) -> int | None:
    some = number(value)
    return None if some is None else int(some)


def _day(value: Any) -> str | None:
    """`20261121` as `2026-11-21`."""
    match = re.fullmatch(r"(\d{4})(\d{2})(\d{2})", value) if isinstance(value, str) else None
    if not match:
        return None
    try:
        return date(*map(int, match.groups())).isoformat()
    except ValueError:
        return None  # such as the 31st of February
