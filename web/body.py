"""Reading a JSON body as every reader would: no duplicate keys, no lone surrogates.

Python also reads NaN, Infinity and 1e309. They pass here, since the field that holds one can say
so by name: every number field of `schemas` takes finite numbers only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from web.errors import MalformedJson, UnsupportedMediaType

# No request has nearly as many; naming a hundred thousand unknown ones would take seconds.
_MOST_KEYS = 100
# An escaped half of a surrogate pair: legal JSON grammar, but no text that could be stored.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(request: Request) -> Any:
    """The body's value. Raises UnsupportedMediaType, MalformedJson, or 413 from the stream."""
    if not request.is_json:
        raise UnsupportedMediaType("send the body as `Content-Type: application/json`")
    return parse_json(_whole_body(request))


def _whole_body(request: Request) -> bytes:
    body = request.get_data(cache=False)
    limit = request.max_content_length
    # Without a Content-Length, Werkzeug stops at the limit and says nothing: half a body.
    if request.content_length is None and limit is not None and len(body) >= limit:
        raise RequestEntityTooLarge
    return body


def parse_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises MalformedJson."""
    try:
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
        # Also what `int` says of a number with thousands of digits.
        raise MalformedJson(str(error)[:200]) from error
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_KEYS:
        raise ValueError("an object has too many keys")
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return values
