"""What limits a worker, and what limits them all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.metrics.bottleneck import Limit, bottleneck_of, limit_of
from tasks.metrics.report import WorkerReport

GIB = 1024**3
IDLE = WorkerReport(
    id="w", host="h", seen_at=100.0, concurrency=4, running=0, memory_budget_bytes=GIB,
    memory_reserved_bytes=0, memory_used_bytes=0, disk_free_bytes=9 * GIB, disk_floor_bytes=GIB,
)  # fmt: skip


@pytest.mark.parametrize(
    ("signs", "limit"),
    [
        ({}, "nothing"),
        ({"cpu_percent": 100.0}, "nothing"),  # somebody else's work
        ({"running": 2, "phases": {"encoding": 2}, "cpu_percent": 84.9}, "nothing"),
        ({"running": 2, "phases": {"encoding": 2}, "cpu_percent": 85.0}, "cpu"),
        ({"running": 1, "phases": {"cutting": 1}, "cpu_percent": 99.0}, "cpu"),
        ({"running": 1, "jobs_waiting_for_memory": 1, "own_cpu_percent": 50.0}, "memory"),
        # More memory would only let more jobs share cores that have no time left.
        (
            {"running": 3, "jobs_waiting_for_memory": 1, "phases": {"encoding": 2},
             "own_cpu_percent": 90.0, "cpu_percent": 95.0},
            "cpu",
        ),
        ({"running": 2, "phases": {"downloading": 2}}, "network"),
        ({"running": 2, "phases": {"downloading": 1, "extracting": 1}}, "network"),
        ({"running": 2, "phases": {"downloading": 1, "encoding": 1}}, "nothing"),
        ({"running": 1, "phases": {"storing": 1}, "io_wait_percent": 30.0}, "disk"),
        ({"io_wait_percent": 90.0}, "nothing"),
        ({"disk_free_bytes": GIB - 1}, "disk"),
        ({"storage_free_bytes": GIB - 1}, "disk"),
        ({"storage_free_bytes": GIB}, "nothing"),
        ({"disk_free_bytes": 0, "jobs_waiting_for_memory": 1, "running": 1}, "disk"),
        ({"throttled_sites": ("video.example",)}, "site"),
        ({"running": 1, "phases": {"downloading": 1}, "throttled_sites": ("x.example",)}, "site"),
    ],
)  # fmt: skip
def test_a_worker_is_limited_by_what_it_shows(signs: dict[str, Any], limit: str) -> None:
    assert limit_of(replace(IDLE, **signs)) == limit


def limited(limit: str, since: float, **values: Any) -> WorkerReport:
    return replace(IDLE, limit=limit, limit_since=since, **values)


def test_the_limit_of_all_is_that_of_most_who_have_one_since_the_first_met_it() -> None:
    reports = [limited("cpu", 30.0), limited("nothing", 5.0), limited("cpu", 20.0)]
    found = bottleneck_of([*reports, limited("memory", 1.0)], queued=3)
    assert (found.limit, found.since) == (Limit.CPU, 20.0)


def test_between_equals_the_worse_is_named() -> None:
    for first, second in (("memory", "cpu"), ("disk", "memory"), ("cpu", "network")):
        reports = [limited(second, 1.0), limited(first, 2.0)]
        assert bottleneck_of(reports, 0).limit == first


def test_nothing_has_lasted_since_the_last_worker_became_free() -> None:
    found = bottleneck_of([limited("nothing", 10.0), limited("nothing", 40.0)], 0)
    assert (found.limit, found.since) == (Limit.NOTHING, 40.0)


def test_without_a_worker_the_advice_is_to_start_one() -> None:
    found = bottleneck_of([], 7)
    assert (found.limit, found.since) == (Limit.NOTHING, None)
    assert "start one" in found.advice


def test_when_only_slots_are_missing_the_advice_says_so() -> None:
    full = limited("nothing", 1.0, running=4, phases={"storing": 4})
    assert "CLIPMILL_WORKER_CONCURRENCY" in bottleneck_of([full], queued=1).advice
    assert "left for more jobs" in bottleneck_of([full], queued=0).advice


def test_a_limit_of_another_version_is_passed_over() -> None:
    assert bottleneck_of([limited("phlogiston", 1.0)], 0).limit is Limit.NOTHING


def test_every_limit_has_its_advice() -> None:
    for limit in Limit:
        assert bottleneck_of([limited(limit, 1.0)], 0).advice.endswith(".")
