"""Answers of views: stored JSON as it is, with an ETag that saves sending it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from tasks.store import Snapshot

JSON = "application/json"


def job_etag(snapshot: Snapshot) -> str:
    """The validator of a job's JSON: it changes with every write of the record."""
    return f"{snapshot.id}.{snapshot.revision}"


def settle_preconditions(etag: str, modified: datetime | None = None) -> None:
    """Raises PreconditionFailed when the client requires another version than the present one.

    Werkzeug's `make_conditional`, which does the rest, would answer 412 with the whole content, and
    treats `*` as another version. A condition that holds is removed, so it does not see it.
    """
    if "If-Match" in request.headers:
        if not request.if_match.contains(etag):
            raise PreconditionFailed("this is another version than the one in If-Match")
        del request.environ["HTTP_IF_MATCH"]
        return
    limit = request.if_unmodified_since
    if limit is not None and modified is not None and modified > limit:
        raise PreconditionFailed("this was changed after the time in If-Unmodified-Since")


def job_answer(snapshot: Snapshot) -> Response:
    """A job as 200, or 304 when the client has this version already."""
    settle_preconditions(job_etag(snapshot))
    response = Response(snapshot.body, content_type=JSON)
    response.set_etag(job_etag(snapshot))
    response.make_conditional(request)
    return response


def job_accepted(snapshot: Snapshot) -> Response:
    """A job as 202."""
    return Response(snapshot.body, 202, content_type=JSON)


def json_bytes(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Ready JSON."""
    return Response(body, status, headers, content_type=JSON)


def join_json(before: Mapping[str, Any], name: str, items: list[bytes], after: Any) -> bytes:
    """An object with a list of ready JSON texts in it, which are not parsed again."""
    return b"".join(join_parts(before, name, [items], after))


def join_parts(
    before: Mapping[str, Any], name: str, pages: Iterable[list[bytes]], after: Any
) -> Iterator[bytes]:
    """The same in parts: the list comes in pages."""
    head = json_bytes(before)[:-1]
    tail = json_bytes(after)[1:]
    comma = b"," if len(head) > 1 else b""
    more = b"," if len(tail) > 1 else b""
    yield head + comma + json_bytes(name) + b":["
    first = True
    for page in pages:
        if page:
            yield (b"" if first else b",") + b",".join(page)
            first = False
    yield b"]" + more + tail
