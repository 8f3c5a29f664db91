"""Retention: expires unused artifacts, deletes old jobs, and removes files without a record."""

from __future__ import annotations

import logging
import time

from config.timings import PRODUCTION, Timings
from tasks.errors import JobNotFinal, NotFound
from tasks.metrics.observer import UpkeepObserver
from tasks.outbox import Outbox
from tasks.storage import Storage
from tasks.store import Store
from tasks.store.room import FORGET_ABOVE, FORGET_DOWN_TO

log = logging.getLogger(__name__)

_AT_ONCE = 100
_PAGES = 10
_LONGEST_SECONDS = 5.0  # of one round: lost jobs wait for the same thread


class Retention:
    """Expires artifacts that are too old or whose space is needed. For the housekeeper."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        *,
        ttl_seconds: float,
        limit_bytes: int | None,
        job_ttl_seconds: float,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._timings = timings
        self._store = store
        self._deliveries = Outbox(store.connection).deliveries
        self._storage = storage
        self._ttl_seconds = ttl_seconds
        self._limit_bytes = limit_bytes
        self._job_ttl_seconds = job_ttl_seconds
        self._next_round = 0.0
        self._next_sweep = 0.0

    def round(self) -> None:
        """Do the tasks that are due. Raises StoreUnavailable."""
        now = time.monotonic()
        if now >= self._next_round:
            self._next_round = now + self._timings.retention_seconds
            self.expire()
            self.make_room()
            self.forget()
            self.forget_deliveries(self._timings.webhook_kept_seconds)
            self.make_room_in_store()
        if now >= self._next_sweep:
            self._next_sweep = now + self._timings.sweep_seconds
            self.sweep(self._timings.sweep_grace_seconds)

    def expire(self) -> None:
        """Expire artifacts that were not used within their time."""
        since = self._store.server.now() - self._ttl_seconds
        pinned = 0
        for _ in range(_PAGES):
            found = self._store.artifacts.by_use(since, offset=pinned, limit=_AT_ONCE)
            pinned += sum(not self._expire(artifact_id, since, "ttl") for artifact_id in found)
            if len(found) < _AT_ONCE:
                return

    def make_room(self) -> None:
        """Evict the longest unused artifacts until the rest fits the limit; never one in use."""
        if self._limit_bytes is None:
            return
        since = self._store.server.now() - self._timings.least_kept_seconds
        pinned = 0
        while self._store.artifacts.total_bytes() > self._limit_bytes:
            found = self._store.artifacts.by_use(since, offset=pinned, limit=1)
            if not found:
                return
            pinned += not self._expire(found[0], since, "limit")

    def forget(self) -> None:
        """Delete jobs that ended long ago, with the artifacts that only they list."""
        ended_before = self._store.server.now() - self._job_ttl_seconds
        kept = 0
        for _ in range(_PAGES):
            found, left = self._forget_page(ended_before, kept, "ttl")
            kept += left
            if found < _AT_ONCE:
                return

    def forget_deliveries(self, kept_seconds: float) -> None:
        """Remove webhook deliveries that ended this long ago."""
        ended_before = self._store.server.now() - kept_seconds
        for _ in range(_PAGES):
            if self._deliveries.forget(ended_before, _AT_ONCE) < _AT_ONCE:
                return

    def make_room_in_store(self) -> None:
        """Forget the jobs that ended first, before their time, while the store fills up."""
        if not self._store.room.memory().is_above(FORGET_ABOVE):
            return
        self.forget_deliveries(0.0)
        until = time.monotonic() + _LONGEST_SECONDS
        now, kept, forgotten = self._store.server.now(), 0, 0
        while (memory := self._store.room.memory()).is_above(FORGET_DOWN_TO):
            found, left = self._forget_page(now, kept, "memory")
            kept, forgotten = kept + left, forgotten + found - left
            if not found or time.monotonic() > until:
                break
        log.warning(
            "finished jobs were forgotten early: the record store fills up",
            extra={"values": {"count": forgotten, "store": str(memory)}},
        )

    def _forget_page(self, ended_before: float, kept: int, reason: str) -> tuple[int, int]:
        """How many finished jobs were found behind the first `kept`, and how many of them stay."""
        found = self._store.queries.final_before(ended_before, offset=kept, limit=_AT_ONCE)
        # Sources of open jobs stay: the next page lies behind them.
        left = sum(not self._forgotten(job_id) for job_id in found)
        if len(found) > left:
            observer = UpkeepObserver()
            observer.jobs_forgotten(reason, len(found) - left)
            self._store.counters.add(observer.tally)
        return len(found), left

    def _forgotten(self, job_id: str) -> bool:
        try:
            artifacts = self._store.jobs.delete(job_id)
        except (JobNotFinal, NotFound):
            return False  # a job that is not final uses it as its source, or it is gone
        for artifact in artifacts:
            self._storage.delete(artifact.storage_key)
        return True

    def sweep(self, grace_seconds: float) -> None:
        """Remove files in storage that have no record and are older than the grace."""
        removed = self._storage.remove_unreferenced(grace_seconds, self._store.artifacts.with_files)
        if removed:
            log.warning("files without a record", extra={"values": {"count": removed}})
            observer = UpkeepObserver()
            observer.unreferenced_removed(removed)
            self._store.counters.add(observer.tally)

    def _expire(self, artifact_id: str, unused_since: float, reason: str) -> bool:
        artifact = self._store.artifacts.expire(artifact_id, unused_since)
        if artifact is None:
            return False
        # Should this process die here, the sweep removes the file.
        self._storage.delete(artifact.storage_key)
        observer = UpkeepObserver()
        observer.artifact_expired(reason)
        self._store.counters.add(observer.tally)
        return True
