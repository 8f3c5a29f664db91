"""The answer with a new link."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from tasks.rendering import rfc3339
from web.http.links import signed
from web.http.responses import json_answer, json_bytes
from web.http.services import caller, current_services


def link_answer(path: str, seconds: float) -> Response:
    """A link to this path, which the caller may read."""
    services = current_services()
    grant = services.authenticator.grant(caller(), seconds)
    made = {"url": signed(services.links, path, grant), "expires_at": rfc3339(grant.until)}
    return json_answer(json_bytes(made), HTTPStatus.CREATED)
