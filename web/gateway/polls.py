"""The most frequent request, `GET` of one job, answered before Flask: one read, the stored bytes.

Flask's routing and request objects cost several times as much as the read, and so does the change
to a thread. Any other request (with other queries, or an error) goes on to Flask. Flask answers a
plain poll the same; a test compares.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus

from config.api import API_BASE
from tasks.access.rates import Count, command, windows_of
from tasks.errors import RequestError, StoreUnavailable
from tasks.ids import is_id
from tasks.store import Snapshot
from tasks.store.quick_reads import QuickReads
from web.gateway.environ import Environ
from web.gateway.exchange import Headers
from web.http.auth import Authenticator
from web.http.errors import REFUSAL, RateLimited
from web.http.headers import REQUEST_ID_HEADER, SECURITY_HEADERS, request_id
from web.http.rates import keep_count, rate_headers
from web.http.responses import JSON, job_etag
from web.metrics.exposition import Metrics

_FOLDER = f"{API_BASE}/jobs/"
_ROUTE = f"{_FOLDER}{{job_id}}"
_CONDITIONS = frozenset(
    ("HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_RANGE")
)
_OWN_TAG = re.compile(r'"[^",]*"')
_WAIT = re.compile(r"wait=(?:60|[0-5]?[0-9])", re.ASCII)
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()
_FIXED_HEADERS: Headers = [
    (name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
]

Answer = tuple[int, Headers, bytes]


class Polls:
    """Answers polls in the event loop."""

    def __init__(self, reads: QuickReads, authenticator: Authenticator, metrics: Metrics) -> None:
        self._reads = reads
        self._authenticator = authenticator
        self._metrics = metrics

    async def answer(self, environ: Environ) -> Answer | None:
        """Status, headers and body; None for a request that Flask has to answer."""
        began = time.perf_counter()
        job_id = _polled(environ)
        snapshot = await self._snapshot(environ, job_id) if job_id else None
        if snapshot is None or (environ["QUERY_STRING"] and not snapshot.state.final):
            return None
        etag = f'"{job_etag(snapshot)}"'
        headers = [
            *_FIXED_HEADERS,
            (b"etag", etag.encode()),
            (_REQUEST_ID, request_id(environ).encode()),
            *((name.lower().encode(), it.encode()) for name, it in rate_headers(environ).items()),
        ]
        if environ.get("HTTP_IF_NONE_MATCH") == etag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        else:
            status, body = HTTPStatus.OK, snapshot.body
            headers += [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))]
        self._metrics.observe_request(_ROUTE, "GET", status, time.perf_counter() - began)
        return status, headers, body

    async def _snapshot(self, environ: Environ, job_id: str) -> Snapshot | None:
        try:
            caller = self._authenticator.authenticate(environ)
            windows = windows_of(caller.limits)
            before = command(caller.name, windows) if windows else None
            snapshot, counted = await self._reads.snapshot(job_id, caller.owner, before)
            if counted is not None:
                keep_count(environ, Count.of(windows, counted))
            return snapshot
        except RateLimited as error:
            environ[REFUSAL] = error
            return None
        except StoreUnavailable as error:
            environ[REFUSAL] = error  # Flask would wait for the store once more
            return None
        except RequestError:
            return None  # Flask finds the same error and writes the problem document


def _polled(environ: Environ) -> str | None:
    """The job's id in a poll: plain, with one tag of ours, or with a time to wait."""
    path: str = environ["PATH_INFO"]
    if not path.startswith(_FOLDER) or environ["REQUEST_METHOD"] != "GET":
        return None
    query, tag = environ["QUERY_STRING"], environ.get("HTTP_IF_NONE_MATCH")
    if (query and not _WAIT.fullmatch(query)) or (tag and not _OWN_TAG.fullmatch(tag)):
        return None
    if not _CONDITIONS.isdisjoint(environ):
        return None
    job_id = path[len(_FOLDER) :]
    return job_id if is_id(job_id) else None
