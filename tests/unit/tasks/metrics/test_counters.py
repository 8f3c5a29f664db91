"""What moves add to the numbers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tasks.errors import NetworkError, SiteThrottled, TooLarge
from tasks.job import Failure, Job
from tasks.kinds import ExtractSpec
from tasks.metrics.counters import counter_name, observed
from tasks.metrics.observer import tally_of_move
from tasks.specs import Source
from worker.engine.retry import delay_before_retry

JOB = Job("1" * 26, ExtractSpec(Source(url="https://x.example")), "ann", 100.0, 100.0)


def test_a_name_has_its_labels_in_order() -> None:
    assert counter_name("jobs_total", state="failed", kind="clip") == (
        "jobs_total{kind=clip,state=failed}"
    )
    assert counter_name("stray_files_total") == "stray_files_total"


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("surprises_total", {}),
        ("surprises_seconds_count", {}),
        ("jobs_total_count", {"kind": "clip", "state": "failed"}),  # no histogram
        ("job_run_seconds", {"kind": "clip"}),  # one, and this is none of its parts
        ("jobs_total", {"kind": "clip"}),
        ("stray_files_total", {"kind": "clip"}),
        ("job_run_seconds_sum", {"kind": "clip", "le": "5"}),
    ],
)
def test_a_number_that_the_catalogue_lacks_has_no_name(metric: str, labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=metric):
        counter_name(metric, **labels)


@pytest.mark.parametrize(
    ("value", "bound"), [(0.0, "0.1"), (0.1, "0.1"), (0.11, "0.25"), (3600, "3600"), (9e9, "+Inf")]
)
def test_an_observation_falls_into_one_bucket(value: float, bound: str) -> None:
    assert observed("admission_wait_seconds", value) == {
        f"admission_wait_seconds_bucket{{le={bound}}}": 1,
        "admission_wait_seconds_sum": value,
        "admission_wait_seconds_count": 1,
    }


def test_a_move_counts_once_and_a_change_without_a_move_not_at_all() -> None:
    running = JOB.started(103.0)
    assert tally_of_move(None, JOB) == {}
    assert tally_of_move(JOB, JOB.waiting_for(None)) == {}
    assert tally_of_move(running, running.progressed(0.5)) == {}
    assert tally_of_move(JOB, running)["job_queue_seconds_sum{kind=extract}"] == 3.0
    failed = running.failed(105.0, Failure("tool_failed", "x"))
    assert tally_of_move(running, failed) == {
        "jobs_total{kind=extract,state=failed}": 1,
        "job_failures_total{code=tool_failed,kind=extract}": 1,
        "job_run_seconds_bucket{kind=extract,le=2.5}": 1,
        "job_run_seconds_sum{kind=extract}": 2.0,
        "job_run_seconds_count{kind=extract}": 1,
    }
    assert tally_of_move(failed, failed.retried(106.0)) == {}


def test_a_clock_that_went_back_takes_nothing_off() -> None:
    assert tally_of_move(JOB, JOB.started(90.0))["job_queue_seconds_sum{kind=extract}"] == 0


def test_only_what_can_help_is_tried_again() -> None:
    assert delay_before_retry(TooLarge("x"), 1, 3) is None
    assert delay_before_retry(NetworkError("x"), 3, 3) is None
    random.seed(1)
    delays = [delay_before_retry(NetworkError("x"), attempt, 99) for attempt in (1, 2, 3, 50)]
    for delay, middle in zip(delays, (2, 4, 8, 900), strict=True):
        assert delay is not None
        assert 0.75 * middle <= delay <= 1.25 * middle
    throttled = delay_before_retry(SiteThrottled("x"), 1, 3)
    assert throttled is not None
    assert throttled >= 20


def test_thousands_of_urls_make_no_new_name() -> None:
    names: set[str] = set()
    for number in range(2_000):
        job = replace(JOB, spec=ExtractSpec(Source(url=f"https://site{number}.example/{number}")))
        running = job.started(103.0)
        names.update(tally_of_move(job, running))
        names.update(tally_of_move(running, running.cancelled(105.0)))
    assert names == {
        "job_queue_seconds_bucket{kind=extract,le=5}",
        "job_queue_seconds_sum{kind=extract}",
        "job_queue_seconds_count{kind=extract}",
        "jobs_total{kind=extract,state=cancelled}",
        "job_run_seconds_bucket{kind=extract,le=2.5}",
        "job_run_seconds_sum{kind=extract}",
        "job_run_seconds_count{kind=extract}",
    }
