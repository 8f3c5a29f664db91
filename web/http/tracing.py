"""A span for each request, below the caller's own if it sends a `traceparent`."""

from __future__ import annotations

from contextlib import ExitStack

from flask import Flask, Response, g, request

from config.api import API_BASE
from tasks.tracing.context import Tracing
from web.metrics.exposition import UNKNOWN_ROUTE, template

# Probes and scrapes call these every few seconds; a trace of them has no use.
UNTRACED = frozenset({"/metrics", "/livez", "/readyz", "/health", f"{API_BASE}/system/health"})


def trace_requests(app: Flask, tracing: Tracing) -> None:
    """Make a span for each request. (`web.fast_poll` answers plain polls before they come here.)"""

    @app.before_request
    def begin() -> None:
        g.span = ExitStack()
        if request.path in UNTRACED:
            return
        route = template(request.url_rule.rule if request.url_rule else UNKNOWN_ROUTE)
        g.note = g.span.enter_context(
            tracing.span(
                f"{request.method} {route}",
                {"http.request.method": request.method, "http.route": route},
                parent=request.headers.get("traceparent"),
            )
        )

    @app.after_request
    def end(response: Response) -> Response:
        if "note" in g:
            g.note({"http.response.status_code": response.status_code})
        return response

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        g.span.close()
