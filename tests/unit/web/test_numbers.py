"""Flat counters as families."""

from __future__ import annotations

from collections import Counter

from tasks.store.counters import BYTES, SECONDS, counter_name, observed
from web.numbers import Distribution, Numbers, families


def family(counters: dict[str, float], name: str) -> Numbers | Distribution:
    (found,) = [item for item in families(counters) if item.name == name]
    return found


def test_finished_jobs_are_counted_from_zero_before_the_first_has_finished() -> None:
    found = family({}, "jobs_total")
    assert isinstance(found, Numbers)
    assert found.labels == ("kind", "state")
    assert found.values[("clip", "failed")] == 0
    assert len(found.values) == 9


def test_a_counter_keeps_its_labels_and_its_amount() -> None:
    name = counter_name("job_retries_total", kind="clip", code="network_error")
    found = family({name: 3.0, "bytes_downloaded_total": 5.0}, "job_retries_total")
    assert found == Numbers("job_retries_total", ("code", "kind"), {("network_error", "clip"): 3.0})


def test_observations_become_cumulative_buckets_on_every_edge() -> None:
    counters: Counter[str] = Counter()
    for seconds in (0.05, 0.2, 0.2, 7, 99_999):
        counters += observed("job_run_seconds", seconds, kind="clip")
    found = family(dict(counters), "job_run_seconds")
    assert isinstance(found, Distribution)
    buckets, total = found.rows[("clip",)]
    assert len(buckets) == len(SECONDS) + 1
    assert dict(buckets) | {"0.1": 1, "0.25": 3, "5": 3, "10": 4, "3600": 4, "+Inf": 5} == dict(
        buckets
    )
    assert total == sum((0.05, 0.2, 0.2, 7, 99_999))


def test_sizes_have_edges_of_their_own() -> None:
    counters = observed("subprocess_peak_bytes", 50 * 1024**2, BYTES, tool="ffmpeg")
    found = family(dict(counters), "subprocess_peak_bytes")
    assert isinstance(found, Distribution)
    buckets, _ = found.rows[("ffmpeg",)]
    assert [count for _, count in buckets] == [0] + [1] * len(BYTES)


def test_a_name_of_another_version_is_passed_over() -> None:
    assert family({"Odd name": 1.0}, "jobs_total")
