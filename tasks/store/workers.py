"""The present workers, by the reports that they send."""

from __future__ import annotations

import json
from dataclasses import asdict

from config.timings import PRODUCTION
from tasks.metrics.report import WorkerReport
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import WORKERS, key
from tasks.store.server import Server

# How long the id of a worker that stopped reporting is remembered.
REMEMBERED_SECONDS = 200


class Workers(StorePart):
    """Reports that expire, so that a dead worker is not listed."""

    def __init__(self, connection: Connection, server: Server) -> None:
        super().__init__(connection)
        self._server = server

    def report(
        self, report: WorkerReport, ttl_seconds: int = PRODUCTION.report_ttl_seconds
    ) -> None:
        """Record the report of a worker, which expires after `ttl_seconds`."""
        text = json.dumps(asdict(report))
        keys = [key("worker", report.id), WORKERS]
        self._run("report", keys, report.id, text, ttl_seconds)

    def forget(self, worker_id: str) -> None:
        """Remove a worker that stops at once, without waiting for its report to expire."""
        with translated():
            self._redis.delete(key("worker", worker_id))
            self._redis.zrem(WORKERS, worker_id)

    def present(self) -> list[WorkerReport]:
        """The reports of the present workers."""
        return self.roll_call()[0]

    def roll_call(self) -> tuple[list[WorkerReport], list[str]]:
        """The reports of present workers, and the ids of those that stopped reporting lately."""
        with translated():
            forgotten = self._server.now() - REMEMBERED_SECONDS
            self._redis.zremrangebyscore(WORKERS, "-inf", forgotten)
            ids = [item.decode() for item in self._redis.zrange(WORKERS, 0, -1)]
            if not ids:
                return [], []
            rows = self._redis.mget([key("worker", item) for item in ids])
        found = dict(zip(ids, rows, strict=True))
        there = [WorkerReport.from_dict(json.loads(row)) for row in found.values() if row]
        return there, [item for item, row in found.items() if not row]
