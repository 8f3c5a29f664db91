"""The header `Idempotency-Key`: a request that is sent again gets the first answer again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Request, Response

from tasks.errors import Fault, InvalidRequest, StoreUnavailable
from tasks.store.idempotency import IdempotencyKeys
from web.http.responses import json_answer

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
LONGEST = 128
REPLAYED = {"Idempotency-Replayed": "true"}

# For the OpenAPI document.
PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[ -~]+$"},
    "description": "The client's own name for this request, kept for 24 hours. A request with the "
    "same key and body is not done again; its answer says `Idempotency-Replayed: true`.",
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


def keep(keys: IdempotencyKeys, id: str, response: Response) -> None:
    """Store the answer to a submission with a key, for the client that sends it again."""
    try:
        keys.keep_answer(id, response.get_data())
    except StoreUnavailable:
        # The submission is accepted all the same; a replay then shows its present state.
        log.warning("the first answer could not be kept", extra={"values": {"id": id}})


def replayed(keys: IdempotencyKeys, id: str, present: Callable[[], Response]) -> Response:
    """The first answer once more; `present` makes an answer if the first is not stored (yet)."""
    body = keys.first_answer(id)
    response = present() if body is None else json_answer(body, 202)
    response.headers.update(REPLAYED)
    return response
