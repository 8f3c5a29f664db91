"""Job records, leases, batches and numbers in Redis or Valkey. `keys` is the map."""

from __future__ import annotations

from typing import Self

from tasks.store.artifacts import Artifacts
from tasks.store.batches import Batches
from tasks.store.changes import Changes
from tasks.store.connection import REQUEST_SECONDS, connect
from tasks.store.leases import LEASE_SECONDS, Leases
from tasks.store.listing import Listing
from tasks.store.moves import (
    ArtifactGone,
    CancelRequested,
    Conflict,
    Extras,
    Follows,
    LeaseLost,
    SourceGone,
)
from tasks.store.once import IdempotencyKey, Replayed
from tasks.store.peaks import PeakFactors
from tasks.store.retry_for import RetryFor
from tasks.store.sites import Sites
from tasks.store.statistics import Statistics
from tasks.store.values import (
    Batch,
    FailureGroup,
    Gauges,
    JobQuery,
    Lease,
    Page,
    Snapshot,
    StoredArtifact,
    WorkerReport,
)

__all__ = [
    "LEASE_SECONDS",
    "ArtifactGone",
    "Batch",
    "CancelRequested",
    "Changes",
    "Conflict",
    "Extras",
    "FailureGroup",
    "Follows",
    "Gauges",
    "IdempotencyKey",
    "JobQuery",
    "Lease",
    "LeaseLost",
    "Page",
    "Replayed",
    "RetryFor",
    "Snapshot",
    "SourceGone",
    "Store",
    "StoredArtifact",
    "WorkerReport",
]


class Store(Artifacts, Batches, Leases, Listing, PeakFactors, Sites, Statistics):
    """The record store: the one place that reads and writes the keys of `keys`."""

    @classmethod
    def at(cls, url: str) -> Self:
        """The store behind a URL, as a worker uses it."""
        return cls(connect(url))

    @classmethod
    def for_requests(cls, url: str) -> Self:
        """The store behind a URL for who has to answer soon, whether it answers or not."""
        return cls(connect(url, REQUEST_SECONDS, requests=True))
