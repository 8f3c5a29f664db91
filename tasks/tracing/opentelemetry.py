"""Spans by OpenTelemetry, sent over OTLP. Imported only when tracing is on (see `start`).

The variables that OpenTelemetry's own SDK reads (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
OTEL_RESOURCE_ATTRIBUTES…) work here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from tasks.errors import JobError
from tasks.tracing.context import Note, Value, current_trace

EXPORT_SECONDS = 5.0
PERIOD_SECONDS = 1.0
_HEADER = "traceparent"


class Spans:
    """The tracer of one process."""

    def __init__(self, endpoint: str, service: str) -> None:
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS
        )
        # `close` shuts it down, when the last job has ended.
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=PERIOD_SECONDS * 1000)
        )
        self._tracer = self._provider.get_tracer("clipmill")
        self._form = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, attributes: dict[str, Value], *, parent: str | None = None
    ) -> Iterator[Note]:
        """A span for the block. An error is recorded by its code or class, never by its text."""
        above = self._form.extract({_HEADER: parent or current_trace.get() or ""})
        kind = SpanKind.SERVER if "http.route" in attributes else SpanKind.INTERNAL
        span = self._tracer.start_span(name, above, kind, attributes)
        token = current_trace.set(self._traceparent(span))
        try:
            yield span.set_attributes
        except BaseException as error:
            code = error.code if isinstance(error, JobError) else type(error).__name__
            span.set_status(Status(StatusCode.ERROR, code))
            span.set_attribute("error.type", code)
            raise
        finally:
            current_trace.reset(token)
            span.end()

    def close(self) -> None:
        """Send the spans that are not sent yet, if the collector accepts them."""
        self._provider.shutdown()

    def _traceparent(self, span: Span) -> str | None:
        carrier: dict[str, str] = {}
        self._form.inject(carrier, set_span_in_context(span))
        return carrier.get(_HEADER)
