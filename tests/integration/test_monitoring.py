"""Rules, dashboard and scrape file work on a real Prometheus that scraped a real run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.metrics.catalogue import CODES, FAMILIES, RETRIED
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.prometheus import CONFIG, Prometheus, program
from tests.support.system import System

SHORT = Video(seconds=3.0, keyframe_seconds=1.0)
DASHBOARD = json.loads((CONFIG / "grafana/dashboard.json").read_text())
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
# What a run of a few seconds has of it; Grafana puts the same in by the time that is shown.
RATE_INTERVAL = "1m"
# The contract's names.
METRICS = [
    "jobs_total", "jobs_running", "queue_depth", "queue_oldest_seconds", "job_queue_seconds",
    "job_run_seconds", "job_retries_total", "job_failures_total", "memory_budget_bytes",
    "memory_reserved_bytes", "memory_used_bytes", "admission_wait_seconds",
    "subprocess_peak_bytes", "clip_frames_total", "media_seconds_total", "bytes_downloaded_total",
    "artifact_bytes", "disk_free_bytes", "cache_hits_total", "cache_misses_total",
    "http_request_seconds", "webhook_deliveries_total", "stream_active", "stream_bytes_total",
    "worker_up", "recovered_jobs_total",
]  # fmt: skip


def queries() -> dict[str, str]:
    """Every query of the dashboard by its panel and letter."""
    return {
        f"{panel['id']} {panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    }


def measured(expression: str) -> str:
    """The value of an alert without the bounds it must not pass."""
    value, bounds = re.subn(r" (?:==|>=|>|<) [\d.]+", "", expression.strip())
    assert bounds, expression
    return value


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, media_folder: Path
) -> Iterator[tuple[System, Prometheus]]:
    """A system that has run jobs of every kind and end, and the Prometheus that watched it."""
    folder = tmp_path_factory.mktemp("run")
    with (
        System(folder / "system", workers=2, store_memory="256MiB") as system,
        Prometheus(folder / "prometheus", system.url) as prometheus,
        Origin() as origin,
    ):
        before = 'sum(clipmill_jobs_total{state="succeeded"})'
        assert eventually(lambda: prometheus.query(before), 20, every_seconds=0.1)
        url = origin.add("/video.mp4", answers.file(cached_video(media_folder, SHORT)))
        clips = [
            {"kind": "clip", "start": 0.5, "end": 2.1, "mode": mode}
            for mode in ("copy", "smart", "encode", "copy")
        ]
        jobs = [
            {"kind": "extract"},
            {"kind": "download"},
            *clips,
            {**clips[0], "start": 9, "end": 10},
        ]
        batch = system.submit_batch(*jobs, source={"url": url})
        gone = system.submit(kind="extract", source={"url": origin.url("/gone.mp4")})
        assert system.batch_until_final(batch["id"])["counts"]["failed"] == 1
        system.until(system.submit(**clips[0], source={"url": url})["id"])  # from storage
        system.until(gone["id"])
        every = len(system.client.get("/api/v2/jobs", params={"limit": 200}).json()["jobs"])
        ended = f"sum(clipmill_jobs_total) == {every}"
        assert eventually(lambda: prometheus.query(ended), 20, every_seconds=0.1), every
        yield system, prometheus


@pytest.mark.parametrize("expression", queries().values(), ids=queries())
def test_every_query_of_the_dashboard_gives_data(
    run: tuple[System, Prometheus], expression: str
) -> None:
    rows = run[1].query(expression.replace("$__rate_interval", RATE_INTERVAL))
    assert [row for row in rows if row["value"][1] != "NaN"], rows


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_measures_something(run: tuple[System, Prometheus], name: str) -> None:
    expression = measured(ALERTS[name]["expr"])
    # What is looked at every 15 s may have been looked at by nobody yet.
    assert eventually(lambda: any(not_nan(row) for row in run[1].query(expression)), 20), expression


def not_nan(row: dict[str, Any]) -> bool:
    """Whether a row has a value."""
    return bool(row["value"][1] != "NaN")


def test_prometheus_evaluates_every_rule_and_a_good_run_raises_no_alarm(
    run: tuple[System, Prometheus],
) -> None:
    assert eventually(lambda: all(rule["health"] == "ok" for rule in run[1].rules()), 10)
    alerts = [rule for rule in run[1].rules() if rule["type"] == "alerting"]
    assert {rule["name"] for rule in alerts} == ALERTS.keys()
    # Half of the extracts and a clip were meant to fail, for what their source is. A rule that is
    # pending would fire later: a run of seconds is too short for most to do it here.
    assert [rule["name"] for rule in alerts if rule["state"] != "inactive"] == []


def test_failures_that_are_left_out_are_those_that_no_try_and_no_person_here_could_mend() -> None:
    matchers = re.findall(r'code!~"([^"]+)"', (CONFIG / "alerts.yml").read_text())
    left_out = {code for codes in matchers for code in codes.split("|")}
    assert left_out <= set(CODES)
    assert set(CODES) - left_out == set(RETRIED) | {
        "deadline_exceeded", "exceeds_memory_budget", "internal_error",
    }  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_of_the_contract_is_scraped_and_shown(
    run: tuple[System, Prometheus], metric: str
) -> None:
    names = f"clipmill_{metric}(_bucket|_count)?"
    assert run[1].query(f'count({{__name__=~"{names}"}})')
    assert any(
        re.search(rf"\bclipmill_{metric}(_bucket|_count)?\b", it) for it in queries().values()
    )


def test_the_rules_fire_when_they_should_and_not_otherwise() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(Path(__file__).with_name("alerts_test.yml"))],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("what", "file"),
    [(["check", "rules"], "alerts.yml"), (["check", "config", "--syntax-only"], "prometheus.yml")],
)
def test_the_files_are_what_prometheus_reads(what: list[str], file: str) -> None:
    done = subprocess.run(
        [program("promtool"), *what, str(CONFIG / file)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_in_good_and_in_bad_times() -> None:
    tests = yaml.safe_load(Path(__file__).with_name("alerts_test.yml").read_text())["tests"]
    silent = {case["alertname"] for case in tests[0]["alert_rule_test"]}
    fired = {case["alertname"] for case in tests[-1]["alert_rule_test"] if case["exp_alerts"]}
    assert silent == fired == ALERTS.keys()


def test_every_number_that_the_store_counts_is_explained() -> None:
    page = (CONFIG.parent / "docs/monitoring.md").read_text()
    assert [name for name in FAMILIES if not re.search(rf"`{name}[`{{]", page)] == []


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert max(x for x, _ in own) < 24
        assert not cells & own, panel["title"]
        cells |= own
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
