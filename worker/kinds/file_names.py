"""File names that clients see, and the media type that goes with each. Never a path of ours."""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

from tasks.media import MediaFacts

MAX_NAME_LENGTH = 120
_FORBIDDEN = frozenset('<>:"/\\|?*')
_MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".mov": "video/quicktime",
    ".ts": "video/mp2t",
    ".avi": "video/x-msvideo",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".json": "application/json",
}
# FFmpeg's names of formats that a suffix does not spell.
_SUFFIX_OF_FORMAT = {
    "mp4": ".mp4",
    "mpegts": ".ts",
    "avi": ".avi",
    "ogg": ".ogg",
    "mp3": ".mp3",
    "wav": ".wav",
    "flac": ".flac",
    "gif": ".gif",
}


def file_name(title: str, suffix: str) -> str:
    """A name that every file system accepts, made from any title. `suffix` is ours, with a dot."""
    kept = (" " if _unusable(letter) else letter for letter in unicodedata.normalize("NFC", title))
    words = " ".join("".join(kept).split()).strip(". ")
    return (words[:MAX_NAME_LENGTH].rstrip(". ") or "untitled") + suffix.lower()


def suffix_of(facts: MediaFacts, claimed: str) -> str:
    """The suffix of a file's real format; `claimed` where that suffix may be right."""
    formats = set(facts.container.split(","))
    if claimed.lstrip(".").lower() in formats:
        return claimed
    if "matroska" in formats:
        return ".mkv"
    found = formats & _SUFFIX_OF_FORMAT.keys()
    return _SUFFIX_OF_FORMAT[min(found)] if found else claimed


def media_type(name: str) -> str:
    """The media type that a file's suffix stands for."""
    return _MEDIA_TYPES.get(PurePath(name).suffix.lower(), "application/octet-stream")


def _unusable(letter: str) -> bool:
    # Cc, Cf: controls, and marks that reverse text; Cs, Co, Cn: no characters at all.
    return letter in _FORBIDDEN or unicodedata.category(letter)[0] == "C"
