"""How much of the store's memory is in use, and what follows from it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from config.values import MIB
from tasks.errors import StoreFull
from tasks.store.connection import Connection, StorePart, translated

# Shares of the limit. Above the first the oldest finished jobs are forgotten early, down to the
# second; above the third no job is accepted: what is left is for the jobs that run.
FORGET_ABOVE, FORGET_DOWN_TO, REFUSE_ABOVE = 0.75, 0.70, 0.90
_RECENT_SECONDS = 0.5


@dataclass(frozen=True)
class StoreMemory:
    """Bytes in use, and the limit; None where neither a setting nor the server has one."""

    used_bytes: int
    limit_bytes: int | None

    def is_above(self, share: float) -> bool:
        """Whether more than this share of the limit is in use."""
        return self.limit_bytes is not None and self.used_bytes > share * self.limit_bytes

    def __str__(self) -> str:
        limit = self.limit_bytes or 0
        return f"{self.used_bytes / MIB:.0f} of {limit / MIB:.0f} MiB"


class Room(StorePart):
    """The memory of the server. `limit_bytes` None: the server's own `maxmemory` counts."""

    def __init__(self, connection: Connection, limit_bytes: int | None = None) -> None:
        super().__init__(connection)
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._seen = StoreMemory(0, None)
        self._seen_until = 0.0

    def memory(self) -> StoreMemory:
        """The present state. Raises StoreUnavailable."""
        with translated():
            found = self._redis.info("memory")
        limits = [limit for limit in (self._limit_bytes, found.get("maxmemory")) if limit]
        return StoreMemory(int(found["used_memory"]), min(limits, default=None))

    def check(self) -> None:
        """Whether the store takes more jobs, as of half a second ago. Raises StoreFull."""
        with self._lock:  # one of many requests looks, the others wait for what it sees
            if time.monotonic() >= self._seen_until:
                self._seen = self.memory()
                self._seen_until = time.monotonic() + _RECENT_SECONDS
        if self._seen.is_above(REFUSE_ABOVE):
            raise StoreFull(
                f"the record store is full ({self._seen}): try again later, delete finished jobs, "
                "or raise CLIPMILL_STORE_MEMORY"
            )

    def try_to_write(self) -> None:
        """Raises StoreFull or StoreUnavailable when nothing new can be written."""
        self.check()
        self._run("try_to_write", [])
