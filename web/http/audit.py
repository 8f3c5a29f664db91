"""The audit log: who submitted, changed or was refused what, from where.

Lines of the logger `audit`, one for each request that changes something and for each that was
refused for its key. They hold names and ids, never a key, a URL of media or a body.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus

from flask import Flask, Response, g, request

from config.values import Network
from web.http.auth import NOBODY, SAFE_METHODS
from web.http.client_address import client_address

log = logging.getLogger("audit")

_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def audit_requests(app: Flask, trusted_proxies: Sequence[Network]) -> None:
    """Write the audit log of this application."""

    @app.after_request
    def note(response: Response) -> Response:
        if request.method in SAFE_METHODS and response.status_code not in _REFUSED:
            return response
        values = {
            "key": g.get("caller", NOBODY).name,
            "client": client_address(request.environ, trusted_proxies),
            "action": f"{request.method} {request.url_rule or 'no such route'}",
            "subject": next(iter((request.view_args or {}).values()), None),
            "created": response.headers.get("Location", "").rpartition("/")[2] or None,
            "status": response.status_code,
        }
        known = {name: value for name, value in values.items() if value is not None}
        log.info("%s", values["action"], extra={"values": known})
        return response


def audit_keys(before: set[str], after: set[str]) -> None:
    """Note which keys were made and revoked, by name."""
    for what, names in (("made", after - before), ("revoked", before - after)):
        for name in sorted(names):
            log.info("a key was %s", what, extra={"values": {"key": name}})
