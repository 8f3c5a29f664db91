"""The workers that are there, by what each reports of itself."""

from __future__ import annotations

import json
from dataclasses import asdict

from config.timings import PRODUCTION
from tasks.metrics.report import WorkerReport
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import WORKERS, key
from tasks.store.server import Server

# How long the name of a worker that fell silent is remembered.
REMEMBERED_SECONDS = 200


class Workers(StorePart):
    """Reports that expire, so that a worker which died is not there."""

    def __init__(self, connection: Connection, server: Server) -> None:
        super().__init__(connection)
        self._server = server

    def report(
        self, report: WorkerReport, ttl_seconds: int = PRODUCTION.report_ttl_seconds
    ) -> None:
        """Say that a worker is there and how it does. `ttl_seconds` later the report is gone."""
        told = json.dumps(asdict(report))
        keys = [key("worker", report.id), WORKERS]
        self._run("report", keys, report.id, told, ttl_seconds)

    def forget(self, worker_id: str) -> None:
        """A worker that says good-bye is gone at once."""
        with translated():
            self._redis.delete(key("worker", worker_id))
            self._redis.zrem(WORKERS, worker_id)

    def present(self) -> list[WorkerReport]:
        """The workers that are there."""
        return self.roll_call()[0]

    def roll_call(self) -> tuple[list[WorkerReport], list[str]]:
        """The workers that are there, and the ids of those that fell silent lately."""
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
