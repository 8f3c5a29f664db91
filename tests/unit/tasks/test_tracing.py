"""Tracing that is off does nothing, and a record keeps where its spans belong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.job import Job
from tasks.kinds import ExtractSpec
from tasks.record import job_of, record_of
from tasks.rendering import public_job
from tasks.specs import Source
from tasks.tracing.context import NO_TRACING, current_trace
from tasks.tracing.start import make_tracing

JOB = Job("1" * 26, ExtractSpec(Source(url="https://x.example")), "ann", 100.0, 100.0)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_without_an_endpoint_there_are_no_spans_and_errors_pass() -> None:
    tracing = make_tracing(None, "service")
    assert tracing is NO_TRACING
    with tracing.span("work", {"a": 1}, parent=TRACE) as note:
        note({"b": 2})
        assert current_trace.get() is None
    with pytest.raises(ValueError, match="mine"), tracing.span("work", {}):
        raise ValueError("mine")
    tracing.close()


def test_a_record_keeps_its_trace_and_shows_it_to_nobody() -> None:
    traced = replace(JOB, trace=TRACE)
    assert job_of(record_of(traced)) == traced
    assert public_job(traced) == public_job(JOB)


def test_a_record_from_before_there_were_traces_can_be_read() -> None:
    old = record_of(JOB)
    del old["trace"]
    assert job_of(old) == JOB
