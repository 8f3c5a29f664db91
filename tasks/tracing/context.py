"""Spans from the request over the job to its tools. Off unless an endpoint is set.

The trace of a job is kept in its record as a `traceparent` (W3C Trace Context), so it goes on in
whichever process runs the job, however late.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool
# Adds attributes to a span that is under way.
Note = Callable[[dict[str, Value]], None]

# Where this thread is now; `tasks.tracing.opentelemetry` sets it. None when tracing is off.
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
