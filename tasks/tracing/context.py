"""What makes spans, and the trace that this thread is in.

The record of a job keeps its trace as a `traceparent` (W3C Trace Context), so the trace continues
in the process that runs the job, however late.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool
# Adds attributes to a span that is under way.
Note = Callable[[dict[str, Value]], None]

# The traceparent of the present span; `tasks.tracing.opentelemetry` sets it. None without tracing.
current_trace: ContextVar[str | None] = ContextVar("current_trace", default=None)


class Tracing(Protocol):
    """Makes spans, or does nothing when tracing is off."""

    def span(
        self, name: str, attributes: dict[str, Value], *, parent: str | None = None
    ) -> AbstractContextManager[Note]:
        """A span for the block, below `parent` (a traceparent) or else below the present span."""

    def close(self) -> None:
        """Send the spans that are not sent yet."""


class NoTracing:
    """Used when tracing is off."""

    def span(
        self, name: str, attributes: dict[str, Value], *, parent: str | None = None
    ) -> AbstractContextManager[Note]:
        """Nothing."""
        return nullcontext(_ignore)

    def close(self) -> None:
        """Nothing."""


def _ignore(attributes: dict[str, Value]) -> None:
    """Discard the attributes."""


NO_TRACING = NoTracing()
