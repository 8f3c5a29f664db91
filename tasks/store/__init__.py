"""Job records, leases, batches and counters in Redis or Valkey. `keys` is the map."""

from __future__ import annotations

from typing import Self

from tasks.batch import Batch
from tasks.metrics.observer import tally_of_move
from tasks.store.artifacts import Artifacts
from tasks.store.aside import Aside
from tasks.store.batches import BatchRecords
from tasks.store.changes import Changes
from tasks.store.connection import REQUEST_SECONDS, Connection, connect
from tasks.store.counters import Counters
from tasks.store.dependents import Dependents
from tasks.store.equal_work import EqualWork
from tasks.store.idempotency import IdempotencyKey, IdempotencyKeys
from tasks.store.jobs import JobRecords
from tasks.store.leases import Leases
from tasks.store.moves import NO_NEW_SOURCES, Extras, NewSources, QueueLimits
from tasks.store.peaks import PeakFactors
from tasks.store.queries import Queries
from tasks.store.retry_for import RetryFor
from tasks.store.room import Room
from tasks.store.server import Server
from tasks.store.sites import Sites
from tasks.store.submissions import NewBatch, Submissions
from tasks.store.values import (
    FailureGroup,
    Gauges,
    JobQuery,
    Lease,
    Page,
    Snapshot,
)
from tasks.store.workers import Workers
from tasks.store.writing import TallyOfMove, Writer

__all__ = [
    "NO_NEW_SOURCES",
    "Batch",
    "Changes",
    "Extras",
    "FailureGroup",
    "Gauges",
    "IdempotencyKey",
    "JobQuery",
    "Lease",
    "NewBatch",
    "NewSources",
    "Page",
    "QueueLimits",
    "RetryFor",
    "Snapshot",
    "Store",
]


class Store:
    """The record store, in parts: the one place that reads and writes the keys of `keys`.

    Code that needs one part receives that part alone. `tally_of_move` says what a change of a job
    adds to the counters, which are written with the change.
    """

    def __init__(
        self,
        connection: Connection,
        tally_of_move: TallyOfMove = tally_of_move,
        *,
        memory_bytes: int | None = None,
    ) -> None:
        self.connection = connection
        self.room = Room(connection, memory_bytes)
        self.server = Server(connection)
        self.idempotency = IdempotencyKeys(connection)
        writer = Writer(connection, tally_of_move)
        self.jobs = JobRecords(connection, writer)
        self.submit = Submissions(connection, writer).write
        self.batches = BatchRecords(connection)
        self.aside = Aside(connection)
        self.leases = Leases(connection, self.server, self.aside)
        self.dependents = Dependents(connection)
        self.equal_work = EqualWork(connection, self.jobs)
        self.artifacts = Artifacts(connection)
        self.queries = Queries(connection)
        self.counters = Counters(connection)
        self.workers = Workers(connection, self.server)
        self.sites = Sites(connection)
        self.peaks = PeakFactors(connection)

    @classmethod
    def at(cls, url: str, memory_bytes: int | None = None) -> Self:
        """The store at a URL, as a worker uses it; `memory_bytes` is what it may hold."""
        return cls(Connection(connect(url)), memory_bytes=memory_bytes)

    @classmethod
    def for_requests(cls, url: str, memory_bytes: int | None = None) -> Self:
        """The store at a URL for requests, which need a response soon also from a silent store."""
        connection = Connection(connect(url, REQUEST_SECONDS, requests=True))
        return cls(connection, memory_bytes=memory_bytes)

    def close(self) -> None:
        """Close all connections."""
        self.connection.close()
