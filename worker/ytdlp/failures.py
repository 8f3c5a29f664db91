"""yt-dlp's words for what went wrong, translated into ours."""

from __future__ import annotations

import re

from tasks.errors import (
    JobError,
    LoginRequired,
    MemoryExceeded,
    NetworkError,
    NoSuchStream,
    NotMedia,
    SiteThrottled,
    StorageFull,
    TooLarge,
    ToolFailed,
    Unavailable,
    UnsupportedUrl,
)

DETAIL_LENGTH = 2_000

_NETWORK = "the source did not answer as it should"
_GONE = "the source is removed, private or not offered here"
_LOGIN = "the source is only for those who are logged in"
_THROTTLED = "the site asks for fewer requests"

# The first that matches wins, so the special stand before the general.
_TEXTS: tuple[tuple[type[JobError], str, str], ...] = (
    (StorageFull, "this machine has no room left", r"\[Errno (28|122)\]"),
    (TooLarge, "the source is larger than allowed", r"\[Errno 27\]"),
    (
        MemoryExceeded,
        "reading the source took more memory than allowed",
        r"^MemoryError|\[Errno 12\]|std::bad_alloc|can't start new thread",
    ),
    (SiteThrottled, _THROTTLED, r"too many requests|rate.?limit|try again later"),
    (
        Unavailable,
        _GONE,
        r"private video|video is private|available (in|from) your|geo.?restrict"
        r"|has been (removed|terminated|deleted)",
    ),
    (
        LoginRequired,
        _LOGIN,
        r"sign in|log ?in|registered users|--cookies|account credentials|members.only|password",
    ),
    (
        UnsupportedUrl,
        "there is no video that we know how to get at this address",
        r"unsupported url|not a valid url|no suitable (extractor|infoextractor)|invalid url",
    ),
    (
        NoSuchStream,
        "the source offers no stream of this kind",
        r"requested format is not available|no video formats found",
    ),
    (
        NotMedia,
        "what the source delivers is not media",
        r"invalid data found|error opening input|unable to obtain file audio codec"
        r"|extracted extension .* is unusual|does not contain any stream|not get any data blocks",
    ),
    (
        NetworkError,
        _NETWORK,
        r"timed out|timeout|connection|failed to resolve|name or service not known|name resolution"
        r"|incomplete ?read|bytes read, \d+ more expected|content too short|network is unreachable"
        r"|no route to host|ssl|certificate|unable to connect|eof occurred|remote end closed",
    ),
    (
        NoSuchStream,
        "the streams of the source do not fit into the container that was asked for",
        r"postprocessing: conversion failed|could not write header|are supported for webm"
        r"|not currently supported in container",
    ),
    (
        Unavailable,
        _GONE,
        r"unavailable|not available|drm|does not exist|not live|will begin|premier",
    ),
)


def failure_of(stderr: str, *, private: tuple[str, ...] = ()) -> JobError:
    """What yt-dlp's last words mean; `private` are local paths that nobody may see."""
    words = error_words(stderr)
    detail = {"tool": "yt-dlp", "stderr": public_words(words, private)}
    if "ERROR:" in stderr and not words:
        # An error without a word is how Python's MemoryError reads; all others have some.
        return MemoryExceeded("reading the source took more memory than allowed", detail)
    status = re.search(r"HTTP Error (\d{3})", words)
    if status:  # before the texts: the rest of the line is the server's, who may say anything
        return _of_status(int(status[1]), detail)
    for kind, message, pattern in _TEXTS:
        if re.search(pattern, words, re.IGNORECASE | re.MULTILINE):
            return kind(message, detail)
    return ToolFailed("the source could not be read", detail)


def _of_status(status: int, detail: dict[str, str]) -> JobError:
    known: dict[int, tuple[type[JobError], str]] = {
        401: (LoginRequired, _LOGIN),
        407: (NetworkError, _NETWORK),
        408: (NetworkError, _NETWORK),
        425: (NetworkError, _NETWORK),
        429: (SiteThrottled, _THROTTLED),
    }
    kind, message = known.get(status, (Unavailable, _GONE))
    if status >= 500:
        kind, message = NetworkError, _NETWORK
    return kind(message, {**detail, "status": str(status)})


def error_words(stderr: str) -> str:
    """The last error in what was written to stderr; the last line of it, if none is marked."""
    before, marked, after = stderr.rpartition("ERROR:")
    if not marked:
        return next(reversed(before.strip().splitlines() or after.strip().splitlines()), "")
    return after.split("\nTraceback (most recent call last)")[0].strip()


def public_words(words: str, private: tuple[str, ...] = ()) -> str:
    """The words without what is nobody's business: local paths, passwords and keys in addresses."""
    for text in private:
        words = words.replace(text, "")
    words = re.sub(r"(https?://)[^\s/@'\"]*@", r"\1", words)
    words = re.sub(r"(https?://[^\s?#'\"]*)[?#][^\s'\")]*", r"\1?…", words)
    words = re.sub(r"(?<![\w/.-])/(?:[\w.+@-]+/)+", "…/", words)
    return words[:DETAIL_LENGTH]
