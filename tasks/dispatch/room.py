"""Whether there is room for more jobs: in the queue, in the store, in the day of their key."""

from __future__ import annotations

from collections.abc import Sequence

from config.api_keys import KeyLimits
from config.settings import Settings
from tasks.access.use import Use
from tasks.errors import QueueFull
from tasks.kinds import ClipSpec, UploadSpec
from tasks.specs import Spec
from tasks.store import QueueLimits, Store


class RoomChecks:
    """Refuses before the planning what would be refused after it."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._use = Use(store.connection)
        self.usual = QueueLimits(settings.max_queued_jobs, settings.max_queued_jobs_per_key)

    def check(self, specs: Sequence[Spec], owner: str, limits: KeyLimits) -> QueueLimits:
        """The limits of the queue for new jobs. Raises QueueFull, StoreFull or QuotaExceeded."""
        most = min(self.usual.of_owner, limits.queued_jobs or self.usual.of_owner)
        queue = QueueLimits(self.usual.total, most)
        self._check(len(specs), owner, queue)
        if limits.bytes_per_day or limits.media_seconds_per_day:
            size, seconds = asked_of(specs)
            self._use.today(owner).check(limits, size, seconds)
        return queue

    def check_queue(self, count: int, owner: str | None = None) -> None:
        """Whether so many jobs may be queued again. Raises QueueFull or StoreFull."""
        self._check(count, owner, self.usual)

    def _check(self, count: int, owner: str | None, queue: QueueLimits) -> None:
        self._store.room.check()
        if self._store.counters.queued_total() + count > queue.total:
            raise QueueFull("too many jobs wait already, try again later")
        if owner and self._store.counters.queued_of(owner) + count > queue.of_owner:
            raise QueueFull("too many jobs of this key wait already, try again later")


def asked_of(specs: Sequence[Spec]) -> tuple[int, float]:
    """The bytes and the media seconds that these jobs will use, as far as that is known before."""
    size = sum(spec.size_bytes for spec in specs if isinstance(spec, UploadSpec))
    clips = (spec for spec in specs if isinstance(spec, ClipSpec) and spec.end is not None)
    return size, sum((spec.end or 0.0) - spec.start for spec in clips)
