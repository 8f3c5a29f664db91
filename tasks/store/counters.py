"""Numbers for /metrics and health: the counters, and the present state of the queue."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from tasks.kinds import KINDS
from tasks.metrics.catalogue import check_name
from tasks.store.connection import StorePart, translated
from tasks.store.keys import COUNTERS, TOTALS, key
from tasks.store.values import Gauges


class Counters(StorePart):
    """Counters kept in the store, so that all API processes report the same."""

    def add(self, numbers: Mapping[str, float]) -> None:
        """Add to counters (see `counter_name`). Raises ValueError if the catalogue lacks one."""
        if not numbers:
            return
        for name in numbers:
            check_name(name.partition("{")[0])
        self._run("count", [COUNTERS], *(part for pair in numbers.items() for part in pair))

    def read(self) -> dict[str, float]:
        """Every counter by its flat name."""
        with translated():
            return {
                name.decode(): float(value) for name, value in self._redis.hgetall(COUNTERS).items()
            }

    def gauges(self) -> Gauges:
        """The present state of the queue, in one round trip."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for kind in KINDS:
                pipeline.zcard(key("queued", kind))
                pipeline.zrange(key("queued", kind), 0, 0, withscores=True)
                pipeline.scard(key("running", kind))
                pipeline.zcard(key("aside", kind))
            pipeline.hmget(TOTALS, "artifact_bytes", "housekeeper_round_at")
            pipeline.time()
            *rows, (artifact_bytes, round_at), clock = pipeline.execute()
        now = time.time()
        depth, oldest, running, aside = (rows[at::4] for at in range(4))
        return Gauges(
            queue_depth=dict(zip(KINDS, depth, strict=True)),
            queue_oldest_seconds={
                kind: max(0.0, now - first[0][1]) if first else 0.0
                for kind, first in zip(KINDS, oldest, strict=True)
            },
            jobs_running=dict(zip(KINDS, running, strict=True)),
            jobs_set_aside=sum(aside),
            artifact_bytes=int(float(artifact_bytes or 0)),
            housekeeper_age_seconds=_seconds(clock) - float(round_at) if round_at else math.inf,
        )

    def note_housekeeping(self) -> None:
        """Record that a housekeeper has finished a round, by the store's own clock."""
        self._run("kept_house", [TOTALS, COUNTERS])

    def queued_total(self) -> int:
        """How many jobs of all kinds are queued."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for kind in KINDS:
                pipeline.zcard(key("queued", kind))
            return sum(pipeline.execute())

    def queued_of(self, owner: str) -> int:
        """How many jobs of an owner are queued."""
        with translated():
            return int(self._redis.hget(key("queued_by_owner"), owner) or 0)


def _seconds(clock: tuple[int, int]) -> float:
    """The result of TIME as seconds since 1970."""
    return clock[0] + clock[1] / 1e6
