"""Spans from the request over the job to its tools. Off unless an endpoint is set.

The trace of a job is kept in its record as a `traceparent` (W3C Trace Context), so it goes on in
whichever process runs the job, however late.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool
# Adds attributes to a span that is under way.
Note = Callable[[dict[str, Value]], None]

# Where this thread is now; `tasks.spans` sets it. None when tracing is off.
current_trace: ContextVar[str | None] = ContextVar("current_trace", default=None)


class Tracing(Protocol):
    """Makes spans, or does nothing."""

    def span(
        self, name: str, attributes: dict[str, Value], *, parent: str | None = None
    ) -> AbstractContextManager[Note]:
        """A span for the block, below `parent` (a traceparent) or else below the present one."""

    def close(self) -> None:
        """Send what is left."""


class NoTracing:
    """What is used when tracing is off."""

    def span(
        self, name: str, attributes: dict[str, Value], *, parent: str | None = None
    ) -> AbstractContextManager[Note]:
        """Nothing."""
        return nullcontext(_ignore)

    def close(self) -> None:
        """Nothing."""


def _ignore(attributes: dict[str, Value]) -> None:
    """Take a note and forget it."""


NO_TRACING = NoTracing()


def make_tracing(endpoint: str | None, service: str) -> Tracing:
    """Spans of `service`, sent to the OTLP collector at `endpoint`; none without one."""
    if endpoint is None:
        return NO_TRACING
    # Only here: the SDK takes 11 MB of each process, which who has not asked for it should not pay.
    module = importlib.import_module("tasks.spans")
    tracing: Tracing = module.Spans(endpoint, service)
    return tracing
