"""Flat counters as families."""

from __future__ import annotations

from collections import Counter

from tasks.metrics.catalogue import BYTES, CODES, FAMILIES, REQUEST_SECONDS, SECONDS
from tasks.metrics.counters import counter_name, observed
from web.metrics.families import Distribution, Numbers, families


def family(counters: dict[str, float], name: str) -> Numbers | Distribution:
    (found,) = [item for item in families(counters) if item.name == name]
    return found


def test_finished_jobs_are_counted_from_zero_before_the_first_has_finished() -> None:
    found = family({}, "jobs_total")
    assert isinstance(found, Numbers)
    assert found.labels == ("kind", "state")
    assert found.values[("clip", "failed")] == 0
    assert len(found.values) == 12


def test_a_counter_keeps_its_labels_and_its_amount() -> None:
    name = counter_name("job_retries_total", kind="clip", code="network_error")
    found = family({name: 3.0, "bytes_downloaded_total": 5.0}, "job_retries_total")
    assert isinstance(found, Numbers)
    assert found.labels == ("code", "kind")
    assert {row: value for row, value in found.values.items() if value} == {
        ("network_error", "clip"): 3.0
    }


def test_every_metric_with_known_rows_is_there_before_anything_has_happened() -> None:
    found = {item.name: item for item in families({})}
    assert found.keys() == {name for name, family in FAMILIES.items() if family.rows()}
    assert set(CODES) == {code for code, _ in found["job_failures_total"].values}
    for item in found.values():
        rows = item.rows if isinstance(item, Distribution) else item.values
        assert len(rows) == len(FAMILIES[item.name].rows())


def test_a_route_in_braces_stays_one_label() -> None:
    route = "/api/v2/jobs/{job_id}"
    counters = observed("http_request_seconds", 0.2, route=route, method="GET", status="200")
    found = family(dict(counters), "http_request_seconds")
    assert isinstance(found, Distribution)
    assert found.labels == ("method", "route", "status")
    buckets, total = found.rows["GET", route, "200"]
    assert len(buckets) == len(REQUEST_SECONDS) + 1
    assert total == 0.2


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
    counters = observed("subprocess_peak_bytes", 50 * 1024**2, tool="ffmpeg")
    found = family(dict(counters), "subprocess_peak_bytes")
    assert isinstance(found, Distribution)
    buckets, _ = found.rows[("ffmpeg",)]
    assert [count for _, count in buckets] == [0] + [1] * len(BYTES)


def test_a_name_of_another_version_is_passed_over() -> None:
    assert family({"Odd name": 1.0}, "jobs_total")
