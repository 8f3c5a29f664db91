"""Admission: as many media jobs side by side as fit in memory and on the cores, never one more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.errors import ExceedsMemoryBudget

MIB = 1024**2
# How many later jobs may pass one that does not fit yet; then everyone waits for it.
OVERTAKES = 8


class NoRoomYet(Exception):
    """The wait for memory was too long; another worker may have room."""


@dataclass(eq=False)
class _Waiter:
    need_bytes: int
    cores: int
    overtaken: int = 0


@dataclass
class Budget:
    """Bytes and cores that running jobs share. Thread-safe.

    More encoders than cores finish no sooner, and push each other out of the caches.
    """

    total_bytes: int
    total_cores: int = 1
    _reserved: int = 0
    _cores_taken: int = 0
    _waiters: list[_Waiter] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def reserved_bytes(self) -> int:
        """What is given out now."""
        return self._reserved

    def has_bytes(self, need_bytes: int) -> bool:
        """Whether memory would let a job of this need in now."""
        return self._reserved + need_bytes <= self.total_bytes

    def check(self, need_bytes: int) -> None:
        """Raises ExceedsMemoryBudget for a job that could never run here."""
        if need_bytes > self.total_bytes:
            raise ExceedsMemoryBudget(
                f"the job needs about {need_bytes // MIB} MiB of memory, "
                f"the budget is {self.total_bytes // MIB} MiB",
                {"need_bytes": need_bytes, "budget_bytes": self.total_bytes},
            )

    @contextmanager
    def reserve(
        self,
        need_bytes: int,
        cores: int = 0,
        *,
        patience_seconds: float,
        given_up: Callable[[], bool] = lambda: False,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Hold `need_bytes` and `cores` inside the block; waits its turn first.

        Of a job that wants more cores than there are, all are taken. `on_wait` is called once if
        it has to wait; `given_up` ends the wait early. Raises NoRoomYet after `patience_seconds`,
        ExceedsMemoryBudget when it can never fit.
        """
        self.check(need_bytes)
        waiter = _Waiter(need_bytes, min(cores, self.total_cores))
        self._enter(waiter, time.monotonic() + patience_seconds, given_up, on_wait)
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= waiter.need_bytes
                self._cores_taken -= waiter.cores
                self._changed.notify_all()

    def _enter(
        self,
        waiter: _Waiter,
        until: float,
        given_up: Callable[[], bool],
        on_wait: Callable[[], None],
    ) -> None:
        with self._changed:
            self._waiters.append(waiter)
            if self._admit(waiter):
                return
        try:
            on_wait()  # outside of the lock: it writes to the store
            self._wait(waiter, until, given_up)
        except BaseException:
            with self._changed:
                self._waiters.remove(waiter)
                self._changed.notify_all()
            raise

    def _wait(self, waiter: _Waiter, until: float, given_up: Callable[[], bool]) -> None:
        with self._changed:
            while not self._admit(waiter):
                left = until - time.monotonic()
                if left <= 0 or given_up():
                    raise NoRoomYet
                # `given_up` may change without a word to us, so look again soon.
                self._changed.wait(min(left, 0.5))

    def _admit(self, waiter: _Waiter) -> bool:
        """Let it in if it fits, unless somebody before it fits too or was passed too often."""
        earlier = self._waiters[: self._waiters.index(waiter)]
        # Who waits for a core alone loses nothing to a job that needs none.
        passed = [
            other for other in earlier if waiter.cores or not self.has_bytes(other.need_bytes)
        ]
        if not self._fits(waiter) or any(map(self._fits, earlier)):
            return False
        if any(other.overtaken >= OVERTAKES for other in passed):
            return False
        for other in passed:
            other.overtaken += 1
        self._waiters.remove(waiter)
        self._reserved += waiter.need_bytes
        self._cores_taken += waiter.cores
        self._changed.notify_all()  # the next in line may fit as well
        return True

    def _fits(self, waiter: _Waiter) -> bool:
        has_cores = not waiter.cores or self._cores_taken + waiter.cores <= self.total_cores
        return has_cores and self.has_bytes(waiter.need_bytes)
