"""The header `Idempotency-Key`: a request that is sent again is answered as the first was."""

from __future__ import annotations

from typing import Any

from flask import Request

from tasks.errors import Fault, InvalidRequest

HEADER = "Idempotency-Key"
LONGEST = 128
REPLAYED = {"Idempotency-Replayed": "true"}

# For the OpenAPI document.
PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[ -~]+$"},
    "description": "The client's own name for this request, kept for 24 hours: sent again with "
    "the same body it is not done again, and the answer says `Idempotency-Replayed: true`.",
}


def idempotency_key(request: Request) -> str | None:
    """The key of a request, None without one. Raises InvalidRequest."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not text or len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        detail = f"{HEADER} must be 1 to {LONGEST} printable ASCII characters"
        raise InvalidRequest(detail, (Fault("", detail),))
    return text
