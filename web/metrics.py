"""/metrics: the numbers of the whole system, read from the store, and this process's requests.

The store keeps the counters, so every API process tells the same and a restart loses none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from tasks.errors import StoreUnavailable
from tasks.store import Gauges, Store, WorkerReport
from web.api import Blueprint
from web.numbers import Distribution, families

PREFIX = "clipmill_"
EXTENSION = "clipmill-metrics"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN_ROUTE = "unknown"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_GAUGES_OF_WORKER = (
    "memory_budget_bytes", "memory_reserved_bytes", "memory_used_bytes", "disk_free_bytes",
)  # fmt: skip

blueprint = Blueprint("metrics", __name__, description="Numbers for Prometheus.")


class Metrics:
    """The registry of one application, and what it observes itself."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StoreCollector(store))
        self._requests = Histogram(
            f"{PREFIX}http_request_seconds",
            "Time until an answer begins, by route template.",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a template: paths hold ids, and so would be endless."""
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).observe(seconds)


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


def template(rule: str) -> str:
    """Flask's rule as OpenAPI writes it."""
    return rule.replace("<path:", "{").replace("<", "{").replace(">", "}")


@blueprint.route("/metrics")
@blueprint.response(200, content_type="text/plain")
def expose() -> Response:
    """Tell all numbers in the text format of Prometheus."""
    metrics: Metrics = current_app.extensions[EXTENSION]
    return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)


class StoreCollector(Collector):
    """What the store counts, read when Prometheus asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(f"{PREFIX}store_up", "Whether the record store answers.")
        try:
            counters, gauges = self._store.counters(), self._store.gauges()
            workers = self._store.workers()
        except StoreUnavailable:
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        yield from _counted(counters)
        yield from _of_queue(gauges)
        yield from _of_workers(workers)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the store need not be there when the application is made."""
        return ()


def _counted(counters: Mapping[str, float]) -> Iterator[Metric]:
    for found in families(counters):
        name, text = PREFIX + found.name, _sentence(found.name)
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


def _sentence(name: str) -> str:
    return name.replace("_", " ").capitalize() + "."


def _of_queue(gauges: Gauges) -> Iterator[Metric]:
    by_kind = (
        ("jobs_running", "Jobs in workers' hands.", gauges.jobs_running),
        ("queue_depth", "Jobs that wait.", gauges.queue_depth),
        ("queue_oldest_seconds", "How long the oldest has waited.", gauges.queue_oldest_seconds),
    )
    for name, text, values in by_kind:
        family = GaugeMetricFamily(PREFIX + name, text, labels=("kind",))
        for kind, value in values.items():
            family.add_metric((kind,), value)
        yield family
    yield GaugeMetricFamily(
        f"{PREFIX}artifact_bytes", "Size of all artifacts.", value=gauges.artifact_bytes
    )


def _of_workers(workers: Iterable[WorkerReport]) -> Iterator[Metric]:
    reports = list(workers)
    up = GaugeMetricFamily(f"{PREFIX}worker_up", "A worker that reports.", labels=("worker",))
    for report in reports:
        up.add_metric((report.id,), 1)
    yield up
    for name in _GAUGES_OF_WORKER:
        family = GaugeMetricFamily(PREFIX + name, _sentence(name), labels=("worker",))
        for report in reports:
            family.add_metric((report.id,), getattr(report, name))
        yield family
