"""What limits throughput now, decided for each worker from its report, then for all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.metrics.report import WorkerReport


class Limit(StrEnum):
    """The resource of which more would let jobs end sooner; the order breaks ties."""

    DISK = "disk"
    MEMORY = "memory"
    CPU = "cpu"
    SITE = "site"
    NETWORK = "network"
    NOTHING = "nothing"


# Cores count as busy from here on: the short gaps between tools always remain.
BUSY_PERCENT = 85.0
# The cores waited for the disk in a quarter of the time in which they could have worked.
IO_WAIT_PERCENT = 25.0

_ON_THE_CORES = frozenset({"cutting", "encoding"})
_ON_THE_WIRE = frozenset({"downloading", "extracting"})

_ADVICE: Mapping[Limit, str] = {
    Limit.DISK: "Free some disk space, or put DATA_DIR (work) or STORAGE_URL (artifacts) "
    "on a larger or faster disk.",
    Limit.MEMORY: "Raise CLIPMILL_MEMORY_BUDGET (and the container's limit with it), "
    "or add a worker on another machine.",
    Limit.CPU: "Add cores, or a worker on another machine; `copy` and `smart` cuts take the least.",
    Limit.SITE: "A site throttles our requests: run fewer of its jobs at once, or wait.",
    Limit.NETWORK: "Only downloads run: a faster network would help, "
    "or more downloads at once (CLIPMILL_WORKER_CONCURRENCY).",
    Limit.NOTHING: "Nothing: resources are left for more jobs.",
}
_NO_WORKER = "No worker reports: start one."
_NO_SLOT = "Every slot is taken, but resources are left: raise CLIPMILL_WORKER_CONCURRENCY."


@dataclass(frozen=True)
class Bottleneck:
    """What limits the whole system. `since`: seconds since 1970, None when it is not known."""

    limit: Limit
    since: float | None
    advice: str


def limit_of(report: WorkerReport) -> Limit:
    """What limits this worker."""
    if min(report.free_bytes_by_disk.values()) < report.disk_floor_bytes:
        return Limit.DISK  # the worker starts no job
    if report.jobs_waiting_for_memory and report.own_cpu_percent < BUSY_PERCENT:
        return Limit.MEMORY
    if _count(report, _ON_THE_CORES) and report.cpu_percent >= BUSY_PERCENT:
        return Limit.CPU
    if report.running and report.io_wait_percent >= IO_WAIT_PERCENT:
        return Limit.DISK
    if report.throttled_sites:
        return Limit.SITE
    if 0 < report.running == _count(report, _ON_THE_WIRE):
        return Limit.NETWORK
    return Limit.NOTHING


def _count(report: WorkerReport, phases: frozenset[str]) -> int:
    return sum(report.phases.get(phase, 0) for phase in phases)


def bottleneck_of(reports: Sequence[WorkerReport], queued: int) -> Bottleneck:
    """What limits all workers together: the limit that most of the limited workers report."""
    named = Counter(limit for limit in Limit for report in reports if report.limit == limit)
    limited = {limit: count for limit, count in named.items() if limit is not Limit.NOTHING}
    order = list(Limit)
    limit = max(
        limited, key=lambda name: (limited[name], -order.index(name)), default=Limit.NOTHING
    )
    times = [report.limit_since for report in reports if report.limit == limit]
    # A limit began with the first worker that met it. "Nothing" began when the last worker lost
    # its limit.
    since = (max if limit is Limit.NOTHING else min)(times, default=None)
    return Bottleneck(limit, since or None, _advice(limit, reports, queued))


def _advice(limit: Limit, reports: Sequence[WorkerReport], queued: int) -> str:
    if not reports:
        return _NO_WORKER
    full = sum(report.running for report in reports) >= sum(it.concurrency for it in reports)
    return _NO_SLOT if limit is Limit.NOTHING and full and queued else _ADVICE[limit]
