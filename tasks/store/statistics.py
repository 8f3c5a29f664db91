"""Numbers for /metrics and health: counters, gauges, and what the workers report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict

from config.values import KINDS
from tasks.metrics.catalogue import check_name
from tasks.store.connection import StorePart, translated
from tasks.store.keys import COUNTERS, TOTALS, WORKERS, key
from tasks.store.values import Gauges, WorkerReport

# A worker that has said nothing for this long is not there.
WORKER_TTL_SECONDS = 20


class Statistics(StorePart):
    """Numbers kept in one place, so that every API process tells the same."""

    def ping(self) -> None:
        """Raises StoreUnavailable when the store does not answer."""
        with translated():
            self.redis.ping()

    def policy_faults(self) -> list[str]:
        """What in the server's configuration may lose jobs. Raises StoreUnavailable."""
        with translated():
            persistence, memory = self.redis.info("persistence"), self.redis.info("memory")
        faults = []
        if not persistence.get("aof_enabled"):
            faults.append("appendonly is off: jobs accepted since the last snapshot can be lost")
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            faults.append(f"maxmemory-policy is {policy}, not noeviction: jobs can be evicted")
        return faults

    def count(self, numbers: Mapping[str, float]) -> None:
        """Add to counters (see `counters.counter_name`). ValueError: the catalogue lacks one."""
        if not numbers:
            return
        for name in numbers:
            check_name(name.partition("{")[0])
        self.run("count", [COUNTERS], *(part for pair in numbers.items() for part in pair))

    def counters(self) -> dict[str, float]:
        """Every counter by its flat name."""
        with translated():
            return {
                name.decode(): float(value) for name, value in self.redis.hgetall(COUNTERS).items()
            }

    def gauges(self) -> Gauges:
        """The queue as it stands, in one round trip."""
        with translated():
            pipeline = self.redis.pipeline(transaction=False)
            for kind in KINDS:
                pipeline.zcard(key("queued", kind))
                pipeline.zrange(key("queued", kind), 0, 0, withscores=True)
                pipeline.scard(key("running", kind))
            pipeline.hmget(TOTALS, "artifact_bytes", "housekeeper_round_at")
            pipeline.time()
            *rows, (artifact_bytes, round_at), clock = pipeline.execute()
        now = time.time()
        depth, oldest, running = rows[0::3], rows[1::3], rows[2::3]
        return Gauges(
            queue_depth=dict(zip(KINDS, depth, strict=True)),
            queue_oldest_seconds={
                kind: max(0.0, now - first[0][1]) if first else 0.0
                for kind, first in zip(KINDS, oldest, strict=True)
            },
            jobs_running=dict(zip(KINDS, running, strict=True)),
            artifact_bytes=int(float(artifact_bytes or 0)),
            housekeeper_age_seconds=_seconds(clock) - float(round_at) if round_at else math.inf,
        )

    def note_housekeeping(self) -> None:
        """A housekeeper has looked at everything; by the store's own clock."""
        self.run("kept_house", [TOTALS, COUNTERS])

    def queued_total(self) -> int:
        """How many jobs wait, of all kinds."""
        with translated():
            pipeline = self.redis.pipeline(transaction=False)
            for kind in KINDS:
                pipeline.zcard(key("queued", kind))
            return sum(pipeline.execute())

    def report_worker(self, report: WorkerReport) -> None:
        """Say that a worker is there and how it does."""
        told = json.dumps(asdict(report))
        keys = [key("worker", report.id), WORKERS]
        self.run("report", keys, report.id, told, WORKER_TTL_SECONDS)

    def forget_worker(self, worker_id: str) -> None:
        """A worker that says good-bye is gone at once."""
        with translated():
            self.redis.delete(key("worker", worker_id))
            self.redis.zrem(WORKERS, worker_id)

    def workers(self) -> list[WorkerReport]:
        """The workers that are there."""
        return self.roll_call()[0]

    def roll_call(self) -> tuple[list[WorkerReport], list[str]]:
        """The workers that are there, and the ids of those that fell silent lately."""
        with translated():
            forgotten = _seconds(self.redis.time()) - 10 * WORKER_TTL_SECONDS
            self.redis.zremrangebyscore(WORKERS, "-inf", forgotten)
            ids = [item.decode() for item in self.redis.zrange(WORKERS, 0, -1)]
            if not ids:
                return [], []
            rows = self.redis.mget([key("worker", item) for item in ids])
        found = dict(zip(ids, rows, strict=True))
        there = [WorkerReport.from_dict(json.loads(row)) for row in found.values() if row]
        return there, [item for item, row in found.items() if not row]


def _seconds(clock: tuple[int, int]) -> float:
    """What the store's TIME says, as seconds since 1970."""
    return clock[0] + clock[1] / 1e6
