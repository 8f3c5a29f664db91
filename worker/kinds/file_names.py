"""File names that clients see, and the media type that goes with each. Never a path of ours."""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

from tasks.media import MediaFacts
from worker.clip.containers import misfit

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
    ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv",
    ".mpg": "video/mpeg",
    ".3gp": "video/3gpp",
    ".mxf": "application/mxf",
    ".ogv": "video/ogg",
    ".aac": "audio/aac",
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
    "flv": ".flv",
    "asf": ".wmv",
    "mpeg": ".mpg",
    "mxf": ".mxf",
    "dv": ".dv",
    "aac": ".aac",
}
# Suffixes that are right for a format of another name.
_ALSO_RIGHT = {
    ".m4v": "mp4",
    ".mka": "matroska",
    ".mkv": "matroska",
    ".ogv": "ogg",
    ".opus": "ogg",
    ".asf": "asf",
    ".wmv": "asf",
    ".mpeg": "mpeg",
    ".mpg": "mpeg",
    ".ts": "mpegts",
}


def file_name(title: str, suffix: str) -> str:
    """A name that every file system accepts, made from any title. `suffix` is ours, with a dot."""
    kept = (" " if _unusable(letter) else letter for letter in unicodedata.normalize("NFC", title))
    words = " ".join("".join(kept).split()).strip(". ")
    return (words[:MAX_NAME_LENGTH].rstrip(". ") or "untitled") + suffix.lower()


def suffix_of(facts: MediaFacts, claimed: str) -> str:
    """The suffix of a file's real format; `claimed` where that suffix may be right."""
    formats, claimed = set(facts.container.split(",")), claimed.lower()
    if "webm" in formats:  # FFmpeg's name of Matroska names both
        return _suffix_of_matroska(facts, claimed)
    if claimed.lstrip(".") in formats or _ALSO_RIGHT.get(claimed) in formats:
        return claimed
    found = formats & _SUFFIX_OF_FORMAT.keys()
    return _SUFFIX_OF_FORMAT[min(found)] if found else claimed


def _suffix_of_matroska(facts: MediaFacts, claimed: str) -> str:
    if claimed in (".mkv", ".mka") or misfit("webm", facts) is not None:
        return claimed if claimed == ".mka" else ".mkv"
    return ".webm"


def media_type(name: str) -> str:
    """The media type that a file's suffix stands for."""
    return _MEDIA_TYPES.get(PurePath(name).suffix.lower(), "application/octet-stream")


def _unusable(letter: str) -> bool:
    # Cc, Cf: controls, and marks that reverse text; Cs, Co, Cn: no characters at all.
    return letter in _FORBIDDEN or unicodedata.category(letter)[0] == "C"
