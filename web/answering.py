"""How views answer: stored JSON as it is, with a validator that saves sending it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from flask import Response, request

from tasks.store import Snapshot

JSON = "application/json"


def job_etag(snapshot: Snapshot) -> str:
    """The validator of a job's JSON: it changes with every write of the record."""
    return f"{snapshot.id}.{snapshot.revision}"


def job_answer(snapshot: Snapshot) -> Response:
    """A job as 200, or 304 when the client has it already."""
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


def json_with_etag(body: bytes) -> Response:
    """Ready JSON as 200, or 304 when the client has just these bytes already."""
    response = json_answer(body)
    response.set_etag(blake2b(body, digest_size=12).hexdigest())
    response.make_conditional(request)
    return response


def spliced(before: Mapping[str, Any], name: str, items: list[bytes], after: Any) -> bytes:
    """An object with a list of ready JSON texts in it, which are not parsed again."""
    head = json_bytes(before)[:-1]
    tail = json_bytes(after)[1:]
    comma = b"," if len(head) > 1 else b""
    more = b"," if len(tail) > 1 else b""
    return head + comma + json_bytes(name) + b":[" + b",".join(items) + b"]" + more + tail
