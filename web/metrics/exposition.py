"""The numbers of the whole system, read from the store.

The store keeps the numbers, so every API process reports the same and a restart loses none. Workers
report to the store too: Prometheus needs to reach an API process, and no worker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from config.api import API_BASE
from tasks.errors import StoreUnavailable
from tasks.metrics.bottleneck import Limit, bottleneck_of
from tasks.metrics.catalogue import FAMILIES, Family
from tasks.metrics.report import WorkerReport
from tasks.store import Gauges, Store
from tasks.store.room import StoreMemory
from web.metrics.families import Distribution, families
from web.metrics.requests import METRIC as REQUEST_METRIC
from web.metrics.requests import RequestMetrics

PREFIX = "clipmill_"
EXTENSION = "clipmill-metrics"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN_ROUTE = "unknown"
_VARIABLE = re.compile(r"<(?:[^<>:]+:)?([^<>:]+)>")
_OF_WORKER = {
    "memory_budget_bytes": "What the tools of a worker may use together.",
    "memory_reserved_bytes": "What admitted jobs have reserved.",
    "memory_used_bytes": "What the tools of a worker use.",
    "disk_floor_bytes": "Free space, on either disk, below which a worker starts no job.",
    "jobs_waiting_for_memory": "Jobs of a worker that do not fit its budget now.",
    "cpu_percent": "Use of all cores of a worker's machine, by all its processes.",
    "own_cpu_percent": "Use of all cores by a worker and its tools.",
    "io_wait_percent": "Time that cores waited for a disk.",
}


class Metrics:
    """The registry of one application, and its own observations."""

    def __init__(self, store: Store) -> None:
        self.requests = RequestMetrics(store)
        self.registry = CollectorRegistry()
        self.registry.register(StoreCollector(store, self.requests))

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a template, since paths hold ids and have no limit."""
        known = method if method in METHODS else "other"
        self.requests.observe((route, known, str(int(status))), seconds)


def observe_requests(app: Flask, metrics: Metrics) -> None:
    """Count every request of the application."""
    app.extensions[EXTENSION] = metrics

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else UNKNOWN_ROUTE
        seconds = time.perf_counter() - g.began
        metrics.observe_request(template(rule), request.method, response.status_code, seconds)
        return response


def metrics_of(app: Flask) -> Metrics:
    """The metrics of this application."""
    return cast(Metrics, app.extensions[EXTENSION])


def template(rule: str) -> str:
    """Flask's rule in the form of OpenAPI."""
    return _VARIABLE.sub(r"{\1}", rule)


class StoreCollector(Collector):
    """The numbers of the store, read when Prometheus scrapes."""

    def __init__(self, store: Store, requests: RequestMetrics) -> None:
        self._store = store
        self._requests = requests
        self._last_requests: Mapping[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(f"{PREFIX}store_up", "Whether the record store answers.")
        try:
            self._requests.hand_over()
            counters, gauges = self._store.counters.read(), self._store.counters.gauges()
            workers, silent = self._store.workers.roll_call()
            memory = self._store.room.memory()
        except StoreUnavailable:
            up.add_metric((), 0)
            yield up
            yield from self._requests_meanwhile()
            return
        self._last_requests = {k: v for k, v in counters.items() if k.startswith(REQUEST_METRIC)}
        up.add_metric((), 1)
        yield up
        yield from _counted(counters)
        yield from _of_queue(gauges)
        yield from _of_store(memory)
        yield from _of_workers(workers, silent)
        yield _of_limits(workers, sum(gauges.queue_depth.values()))

    def _requests_meanwhile(self) -> Iterator[Metric]:
        """Requests fail while the store is down, and the metrics must show this as well."""
        numbers = dict(self._last_requests)
        for name, amount in self._requests.pending().items():
            numbers[name] = numbers.get(name, 0.0) + amount
        return (family for family in _counted(numbers) if family.name.endswith(REQUEST_METRIC))

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: the store need not run when the application is made."""
        return ()


def _counted(counters: Mapping[str, float]) -> Iterator[Metric]:
    for found in families(counters):
        name = PREFIX + found.name
        text = FAMILIES.get(found.name, Family(found.name)).help
        if isinstance(found, Distribution):
            histogram = HistogramMetricFamily(name, text, labels=found.labels)
            for values, (buckets, total) in found.rows.items():
                histogram.add_metric(values, buckets, sum_value=total)
            yield histogram
        else:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(name, text, labels=found.labels)
            for values, value in found.values.items():
                family.add_metric(values, value)
            yield family


def _of_queue(gauges: Gauges) -> Iterator[Metric]:
    by_kind = (
        ("jobs_running", "Jobs that workers run.", gauges.jobs_running),
        ("queue_depth", "Jobs that wait.", gauges.queue_depth),
        ("queue_oldest_seconds", "Wait of the oldest queued job.", gauges.queue_oldest_seconds),
    )
    for name, text, values in by_kind:
        yield _gauge(name, text, "kind", values)
    alone = (
        ("artifact_bytes", "Size of all artifacts.", gauges.artifact_bytes),
        ("jobs_set_aside", "Jobs that only a newer version can read.", gauges.jobs_set_aside),
        (
            "housekeeper_age_seconds", "Since a housekeeper's last round.",
            gauges.housekeeper_age_seconds,
        ),
        ("stream_active", "Streams through the proxy.", 0),  # there is no such call yet
    )  # fmt: skip
    for name, text, value in alone:
        yield GaugeMetricFamily(PREFIX + name, text, value=value)


def _of_store(memory: StoreMemory) -> Iterator[Metric]:
    text = "Memory that the record store uses."
    yield GaugeMetricFamily(f"{PREFIX}store_memory_bytes", text, value=memory.used_bytes)
    if memory.limit_bytes is not None:
        text = "Memory that the record store may use."
        yield GaugeMetricFamily(f"{PREFIX}store_memory_limit_bytes", text, value=memory.limit_bytes)


def _of_workers(workers: Sequence[WorkerReport], silent: Iterable[str]) -> Iterator[Metric]:
    up = {report.id: 1 for report in workers} | dict.fromkeys(silent, 0)
    yield _gauge("worker_up", "1: the worker reports; 0: it did lately.", "worker", up)
    yield GaugeMetricFamily(f"{PREFIX}workers", "Workers that report.", value=len(workers))
    for name, text in _OF_WORKER.items():
        values = {report.id: getattr(report, name) for report in workers}
        yield _gauge(name, text, "worker", values)
    text = "Free space of a worker's workspaces, and of its artifact storage."
    disks = GaugeMetricFamily(f"{PREFIX}disk_free_bytes", text, labels=("worker", "disk"))
    for report in workers:
        for disk, free in report.free_bytes_by_disk.items():
            disks.add_metric((report.id, disk), free)
    yield disks


def _of_limits(workers: Sequence[WorkerReport], queued: int) -> Metric:
    found = bottleneck_of(workers, queued).limit
    text = f"What limits throughput now (1), as GET {API_BASE}/system/bottleneck says."
    return _gauge("bottleneck", text, "limit", {limit: int(limit is found) for limit in Limit})


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family


def exposition() -> Response:
    """All numbers in the text format of Prometheus."""
    metrics = metrics_of(current_app)
    return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)
