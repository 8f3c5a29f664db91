"""GET /api/v2/system/bottleneck: what limits throughput now, and the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from flask import Response

from config.api import API_BASE
from tasks.metrics.bottleneck import Limit, bottleneck_of
from tasks.metrics.report import WorkerReport
from tasks.rendering import rfc3339
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.services import caller, current_services
from web.schemas.answers import BottleneckSchema

blueprint = Blueprint("bottleneck", __name__, description="What limits throughput.")


@blueprint.route(f"{API_BASE}/system/bottleneck")
@blueprint.response(200, BottleneckSchema)
@blueprint.refusals(401, 403, 503)
def bottleneck() -> Response:
    """Report what limits throughput now: more of it would let jobs end sooner."""
    store = current_services().store
    reports, queued = store.workers.present(), store.counters.gauges().queue_depth
    found = bottleneck_of(reports, sum(queued.values()))
    evidence = evidence_of(reports) | {"queued": queued}
    if caller().owner is None:  # only the operator may see which sites other owners use
        evidence["throttled_sites"] = sorted({it for row in reports for it in row.throttled_sites})
    body = {
        "limit": found.limit,
        "since": rfc3339(found.since),
        "advice": found.advice,
        "evidence": evidence,
    }
    return json_answer(json_bytes(body))


def evidence_of(reports: Sequence[WorkerReport]) -> dict[str, Any]:
    """The workers' reports together: sums of jobs and memory, the worst value of the rest."""
    phases: Counter[str] = Counter()
    for report in reports:
        phases.update(report.phases)
    limits = Counter(report.limit for report in reports)
    return {
        "workers": len(reports),
        "workers_by_limit": {limit: limits[limit] for limit in Limit if limits[limit]},
        "running": sum(report.running for report in reports),
        "concurrency": sum(report.concurrency for report in reports),
        "phases": dict(phases),
        "cpu_percent": max((report.cpu_percent for report in reports), default=0.0),
        "own_cpu_percent": max((report.own_cpu_percent for report in reports), default=0.0),
        "io_wait_percent": max((report.io_wait_percent for report in reports), default=0.0),
        "memory_budget_bytes": sum(report.memory_budget_bytes for report in reports),
        "memory_reserved_bytes": sum(report.memory_reserved_bytes for report in reports),
        "memory_used_bytes": sum(report.memory_used_bytes for report in reports),
        "jobs_waiting_for_memory": sum(report.jobs_waiting_for_memory for report in reports),
        "disk_free_bytes": min(
            (free for report in reports for free in report.free_bytes_by_disk.values()),
            default=None,
        ),
        "throttled_site_count": len({it for row in reports for it in row.throttled_sites}),
    }
