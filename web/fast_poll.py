"""The most frequent request, `GET` of one job, answered before Flask: one read, the stored bytes.

Flask's routing and request objects cost three times as much as the read. Any other request (with a
query, a validator, or an error) goes on to Flask. Flask answers a plain poll the same; a test
compares.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from config.api import API_BASE
from tasks.errors import RequestError
from tasks.ids import is_id
from tasks.store import Snapshot
from web.http.headers import REQUEST_ID_HEADER, SECURITY_HEADERS, request_id
from web.http.responses import JSON, job_etag
from web.http.services import Services
from web.metrics.exposition import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_FOLDER = f"{API_BASE}/jobs/"
_ROUTE = f"{_FOLDER}{{job_id}}"
_CONDITIONS = frozenset(("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"))
_FIXED_HEADERS = [("Content-Type", JSON), *SECURITY_HEADERS.items()]


class FastPolls:
    """WSGI middleware around the Flask application."""

    def __init__(self, wrapped: WSGIApplication, services: Services, metrics: Metrics) -> None:
        self._wrapped = wrapped
        self._services = services
        self._metrics = metrics

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        job_id = _polled(environ)
        snapshot = self._snapshot(environ, job_id) if job_id else None
        if snapshot is None:
            return self._wrapped(environ, start_response)
        start_response(
            "200 OK",
            [
                *_FIXED_HEADERS,
                ("Content-Length", str(len(snapshot.body))),
                ("ETag", f'"{job_etag(snapshot)}"'),
                (REQUEST_ID_HEADER, request_id(environ)),
            ],
        )
        self._metrics.observe_request(_ROUTE, "GET", HTTPStatus.OK, time.perf_counter() - began)
        # A list is the whole body, so the server sends it without an iterator.
        return [snapshot.body]

    def _snapshot(self, environ: dict[str, Any], job_id: str) -> Snapshot | None:
        try:
            caller = self._services.authenticator.authenticate(environ)
            return self._services.store.jobs.snapshot(job_id, caller.owner)
        except RequestError:
            return None  # Flask finds the same error and writes the problem document


def _polled(environ: dict[str, Any]) -> str | None:
    """The job's id in a plain poll; None for any other request."""
    path: str = environ["PATH_INFO"]
    if not path.startswith(_FOLDER) or environ["REQUEST_METHOD"] != "GET":
        return None
    if environ.get("QUERY_STRING") or not _CONDITIONS.isdisjoint(environ):
        return None
    job_id = path[len(_FOLDER) :]
    return job_id if is_id(job_id) else None
