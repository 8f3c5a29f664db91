"""The header `Idempotency-Key`: a request that is sent again is answered as the first was."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Request, Response

from tasks.errors import Fault, InvalidRequest, StoreUnavailable
from tasks.store import Store
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


def keep(store: Store, id: str, response: Response) -> None:
    """Remember the answer to a named submission, for whoever sends it again."""
    try:
        store.idempotency.keep_answer(id, response.get_data())
    except StoreUnavailable:
        # It is accepted all the same; who asks again is shown how it stands then.
        log.warning("the first answer could not be kept", extra={"values": {"id": id}})


def replayed(store: Store, id: str, present: Callable[[], Response]) -> Response:
    """The first answer once more; `present` makes one if that was not kept (yet)."""
    body = store.idempotency.first_answer(id)
    response = present() if body is None else json_answer(body, 202)
    response.headers.update(REPLAYED)
    return response
