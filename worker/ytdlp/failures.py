"""yt-dlp's error texts, translated into job errors."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus, urlsplit

from tasks.errors import (
    JobError,
    LoginRequired,
    MemoryExceeded,
    NetworkError,
    NoSuchStream,
    NotMedia,
    SiteThrottled,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    ToolFailed,
    Unavailable,
    UnsupportedUrl,
)

DETAIL_LENGTH = 2_000
_CUT = "…"

_NETWORK = "the source did not answer as it should"
_GONE = "the source is removed, private or not offered here"
_LOGIN = "the source needs a login"
_THROTTLED = "the site asks for fewer requests"

# The first that matches wins, so special errors stand before general ones.
_TEXTS: tuple[tuple[type[JobError], str, str], ...] = (
    (StorageFull, "this machine has no space left", r"\[Errno (28|122)\]"),
    (
        StorageUnavailable,
        "this machine's disk could not be written",
        r"unable to (write|open for writing).*\[Errno (5|13|30|116)\]",
    ),
    (TooLarge, "the source is larger than allowed", r"\[Errno 27\]"),
    (
        MemoryExceeded,
        "reading the source took more memory than allowed",
        r"^MemoryError|\[Errno 12\]|std::bad_alloc",
    ),
    (
        ToolFailed,
        "this machine could not start a thread or a process",
        r"can't start new thread|\[Errno 11\]",
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
        "no video at this address can be downloaded",
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
        "the streams of the source do not fit into one file",
        r"postprocessing: conversion failed|could not write header|are supported for webm"
        r"|not currently supported in container",
    ),
    (
        Unavailable,
        _GONE,
        r"unavailable|not available|drm|does not exist|not live|will begin|premier",
    ),
)


def failure_of(stderr: str, *, url: str = "", private: tuple[str, ...] = ()) -> JobError:
    """The job error of yt-dlp's last error text; `private` are local paths that must not be shown.

    `url` is the client's: many error texts quote it, and words in it mean nothing.
    """
    detail = {"tool": "yt-dlp", "stderr": public_words(error_words(stderr), private)}
    own = own_words(stderr, url)
    words = error_words(own)
    if "ERROR:" in own and not words:
        # Python's MemoryError has no text; all other errors have some.
        return MemoryExceeded("reading the source took more memory than allowed", detail)
    status = re.search(r"HTTP Error (\d{3})", words)
    if status:  # before the texts: the server writes the rest of the line, and may write anything
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
    """The last error in stderr; the last line, if none is marked as an error."""
    before, marked, after = stderr.rpartition("ERROR:")
    if not marked:
        return next(reversed(before.strip().splitlines() or after.strip().splitlines()), "")
    return after.split("\nTraceback (most recent call last)")[0].strip()


def own_words(stderr: str, url: str = "") -> str:
    """yt-dlp's own text, without addresses and the names that it makes of them.

    An error begins with `[site] name: `; the name is mostly a part of the address, unquoted, so it
    may hold anything, even the text of another error.
    """
    names = sorted(filter(None, _names_in(url)), key=len, reverse=True)
    for name in names:
        stderr = re.sub(rf"(?<=\] ){re.escape(name)}(?=: )", _CUT, stderr)
    host = urlsplit(url).hostname or ""
    for text in filter(None, (url, unquote(url), host if "." in host else "")):
        stderr = stderr.replace(text, _CUT)
    stderr = re.sub(r"\w+://\S+", _CUT, stderr)
    return re.sub(r"^(ERROR: \[[^\]\s]+\]) \S+: ", rf"\1 {_CUT}: ", stderr, flags=re.MULTILINE)


def _names_in(url: str) -> set[str]:
    """The parts of an address that an extractor may use as the name of its video."""
    parts = {*url.rstrip("/").split("/"), *re.split(r"[/?#&=]", url)}
    parts |= {part.rpartition(".")[0] for part in parts}
    return {form for part in parts for form in (part, unquote(part), unquote_plus(part))}


def public_words(words: str, private: tuple[str, ...] = ()) -> str:
    """The text without private parts: local paths, passwords and keys in addresses."""
    for text in private:
        words = words.replace(text, "")
    words = re.sub(r"(https?://)[^\s/@'\"]*@", r"\1", words)
    words = re.sub(r"(https?://[^\s?#'\"]*)[?#][^\s'\")]*", r"\1?…", words)
    words = re.sub(r"(?<![\w/.-])/(?:[\w.+@-]+/)+", "…/", words)
    return words[:DETAIL_LENGTH]
