"""Names of files: which names a client may choose, and how any text becomes a safe name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from werkzeug.http import dump_options_header

LONGEST_NAME = 200

# Device names of Windows, which stay reserved with any extension.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_SEPARATORS = frozenset("/\\")
# Control, invisible formatting (right-to-left marks among it), halves of pairs, line separators.
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Zero-width joiners are part of ordinary Persian words and of many emoji.
_JOINERS = frozenset("\u200c\u200d")


def fault_of_name(name: str) -> str | None:
    """What is wrong with a file name that a client chose; None for a valid name."""
    if not name.strip():
        return "must not be blank"
    if len(name) > LONGEST_NAME:
        return f"must not be longer than {LONGEST_NAME} characters"
    if any(character in _SEPARATORS for character in name):
        return "must be a file name without a folder"
    if any(_is_unwanted(character) for character in name):
        return "must not hold control, formatting or direction characters"
    if name.startswith(".") or name != name.strip() or name.endswith("."):
        return "must not begin with a dot or space, or end with one"
    if _RESERVED.fullmatch(name):
        return "This name is reserved on some systems."
    return None


def safe_name(text: str, fallback: str = "file") -> str:
    """The text as a file name that is safe on every system; never fails."""
    kept = "".join(
        "_" if character in _SEPARATORS else character
        for character in text
        if not _is_unwanted(character)
    )
    short = _shortened(kept.strip(" ."))
    if not short:
        return fallback
    return f"_{short}" if _RESERVED.fullmatch(short) else short


def content_disposition(text: str, attachment: bool) -> str:
    """The value of a Content-Disposition header with the text as a safe name (RFC 6266, 8187)."""
    name, way = safe_name(text), "attachment" if attachment else "inline"
    if name.isascii():
        return dump_options_header(way, {"filename": name})
    # For an old client that reads ASCII only.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    quoted = quote(name, safe="!#$&+-.^_`|~")
    return dump_options_header(way, {"filename": plain, "filename*": f"UTF-8''{quoted}"})


def unique_names(names: Iterable[str]) -> Iterator[str]:
    """The names as safe names, each only once: a later `a.mp4` becomes `a (2).mp4`.

    Names that differ in case alone count as equal, since some disks ignore case.
    """
    taken: set[str] = set()
    for name in names:
        safe = safe_name(name)
        candidate, number = safe, 1
        while candidate.casefold() in taken:
            number += 1
            stem, dot, suffix = safe.rpartition(".")
            candidate = f"{stem} ({number}).{suffix}" if dot else f"{safe} ({number})"
        taken.add(candidate.casefold())
        yield candidate


def _is_unwanted(character: str) -> bool:
    return unicodedata.category(character) in _UNWANTED and character not in _JOINERS


def _shortened(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        return name[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(suffix) - 1]}.{suffix}"
