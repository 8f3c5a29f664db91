"""Starts tracing, if the settings ask for it."""

from __future__ import annotations

import importlib

from tasks.tracing.context import NO_TRACING, Tracing


def make_tracing(endpoint: str | None, service: str) -> Tracing:
    """Spans of `service`, sent to the OTLP collector at `endpoint`; none without an endpoint."""
    if endpoint is None:
        return NO_TRACING
    # Imported here: the SDK takes 11 MB of each process, too much for a system without tracing.
    module = importlib.import_module("tasks.tracing.opentelemetry")
    tracing: Tracing = module.Spans(endpoint, service)
    return tracing
