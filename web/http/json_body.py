"""Reads a JSON body that every parser reads the same way: no duplicate keys, no lone surrogates.

Python also reads NaN, Infinity and 1e309. They pass here, since the schema can then name the field
in its error: every number field of `schemas` accepts finite numbers only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Request, g

from config.api import API_BASE
from config.settings import Settings
from web.http.errors import MalformedJson, UnsupportedMediaType
from web.http.services import Services, caller

# No request has nearly as many keys; naming a hundred thousand unknown keys would take seconds.
_MOST_KEYS = 100
# A batch may be this many times as long as other bodies: 8 MiB are 8 KiB for each of 1,000 jobs.
_BATCH_FACTOR = 8
_BATCH_PATHS = frozenset({f"{API_BASE}/batches"})
# A thousand jobs with every field that a job may have are half of this. A value costs a hundred
# bytes or more, so millions of `{}` would take many times the memory of their text.
_MOST_VALUES = 100_000
# An escaped half of a surrogate pair: legal JSON grammar, but no text that could be stored.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def longest_body(settings: Settings, path: str) -> int:
    """The length in bytes of the longest body that a path takes."""
    factor = _BATCH_FACTOR if path in _BATCH_PATHS else 1
    return factor * settings.max_body_bytes


def allow_long_body(services: Services, request: Request) -> None:
    """For bodies that may hold a thousand jobs. Raises TooManyTransfers when no slot is free.

    A long body holds one of a few slots until its request has ended: its values take many times
    the memory of its text.
    """
    most = services.settings.max_body_bytes
    request.max_content_length = longest_body(services.settings, request.path)
    length = request.content_length or 0
    if most < length <= request.max_content_length:
        g.until_end.callback(services.places.long_bodies.enter(caller().name))


def read_json(request: Request) -> Any:
    """The body's value. Raises UnsupportedMediaType, MalformedJson, or 413 from the stream.

    `request.max_content_length` limits the body's length.
    """
    if not request.is_json:
        raise UnsupportedMediaType("send the body as `Content-Type: application/json`")
    return parse_json(request.get_data(cache=False))


def parse_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises MalformedJson."""
    try:
        _refuse_too_many_values(body)
        value = json.loads(body.decode(), object_pairs_hook=_without_duplicates)
        if _SURROGATE_ESCAPE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"{error.msg} ({place})") from error
    except RecursionError as error:
        raise MalformedJson("the document is nested too deeply") from error
    except UnicodeError as error:
        raise MalformedJson("the body is not valid UTF-8 text") from error
    except ValueError as error:
        # Also the error of `int` for a number with thousands of digits.
        raise MalformedJson(str(error)[:200]) from error
    return value


def _refuse_too_many_values(body: bytes) -> None:
    """Counts commas and opening brackets outside of texts, which bounds the number of values."""
    if _separators(body) <= _MOST_VALUES:
        return
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    many_texts = bare.count(b'"') > 4 * _MOST_VALUES  # a name and a text for each value
    if many_texts or _separators(b"".join(bare.split(b'"')[::2])) > _MOST_VALUES:
        raise ValueError("the document has too many values")


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_KEYS:
        raise ValueError("an object has too many keys")
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return values
