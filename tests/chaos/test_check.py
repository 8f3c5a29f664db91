"""The checker of the storms itself: it must not find good what is not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.chaos.check import failure_faults, story_faults
from tests.chaos.numbers import differences, real_numbers, told_numbers
from tests.chaos.traces import grown, leaks

GOOD: list[dict[str, Any]] = [
    {"event": "queued"},
    {"event": "running", "attempt": 1},
    {"event": "queued", "attempt": 1, "why": "worker_lost"},
    {"event": "running", "attempt": 2},
    {"event": "queued", "attempt": 1, "why": "given back"},
    {"event": "running", "attempt": 2},
    {"event": "phase", "phase": "storing", "attempt": 2},
    {"event": "succeeded", "attempt": 2},
]


def test_a_story_with_a_lost_worker_and_a_drain_is_good() -> None:
    assert story_faults("job", GOOD) == []


@pytest.mark.parametrize(
    ("late", "where", "word"),
    [
        ({"event": "phase", "phase": "storing", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 2}, 8, "I1"),
        ({"event": "running", "attempt": 3}, 8, "I1"),
    ],
    ids=["a phase of a lost lease", "an end of a lost lease", "two ends", "a run after the end"],
)
def test_a_write_too_late_is_found(late: dict[str, object], where: int, word: str) -> None:
    found = story_faults("job", [*GOOD[:where], late, *GOOD[where:]])
    assert found[0].startswith(word)


def test_a_retry_that_the_metrics_do_not_know_of_is_found() -> None:
    job = {"kind": "clip", "state": "succeeded", "error": None, "started_at": 1, "finished_at": 2}
    told = told_numbers(
        'clipmill_jobs_total{kind="clip",state="succeeded"} 1\n'
        'clipmill_job_run_seconds_count{kind="clip"} 1\n'
        'clipmill_job_queue_seconds_count{kind="clip"} 3\n'
        'clipmill_jobs_running{kind="clip"} 0\n'
    )
    found = differences(told, real_numbers({"job": job}, {"job": GOOD}))
    name = "clipmill_job_retries_total clip worker_lost"
    assert found == [f"I9 {name}: the metrics say 0, the records 1"]


def test_descriptors_that_stay_are_found_and_pooled_connections_are_not() -> None:
    before = Counter({"socket": 5, "pipe": 2})
    assert grown(before, Counter({"socket": 9, "pipe": 1, "/etc/hosts": 0})) == {}
    assert grown(before, Counter({"socket": 5, "pipe": 3, "/tmp/a": 1})) == {"pipe": 3, "/tmp/a": 1}


def test_a_secret_in_a_log_is_found() -> None:
    assert leaks({"api.log": "key abc", "worker.log": "key"}, {"the key": "abc"}) == [
        "I6 api.log tells the key"
    ]


def test_a_failure_that_nobody_asked_for_is_found() -> None:
    def failed(query: str) -> dict[str, Any]:
        source = {"url": f"https://127.0.0.1/media/1?{query}"}
        error = {"code": "internal_error"}
        return {"state": "failed", "spec": {"source": source}, "error": error}

    found = failure_faults({"good": failed("raise=MemoryError"), "bad": failed("seconds=1")})
    assert [line.split(":")[0] for line in found] == ["I5 failed for no good reason"]
    assert "bad" in found[0]
