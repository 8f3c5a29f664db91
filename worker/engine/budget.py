"""Admission: as many media jobs side by side as fit in memory and on the cores, never one more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from config.values import MIB
from tasks.errors import ExceedsMemoryBudget

# How many later jobs may bypass a job that does not fit yet; then all wait for that job.
BYPASSES = 8
# A job that is left to another worker counts as bypassed once more; after so many times it stays.
MOST_BYPASSES = 2 * BYPASSES


class NoRoomYet(Exception):
    """The wait for memory was too long; another worker may have enough.

    `times_bypassed` goes with the job: wherever the job waits next, its position is no worse.
    """

    def __init__(self, times_bypassed: int) -> None:
        super().__init__(times_bypassed)
        self.times_bypassed = times_bypassed


@dataclass(eq=False)
class _Share:
    """The bytes and cores that one job waits for, or holds."""

    need_bytes: int
    cores: int
    times_bypassed: int = 0


@dataclass(frozen=True)
class Wait:
    """How one job waits. `on_wait` is called once at first.

    Every `seconds`, `elsewhere` decides whether the job had better wait at another worker; else it
    keeps its position here. `times_bypassed` is how often the job was bypassed before.
    """

    seconds: float
    cancelled: Callable[[], bool] = lambda: False
    on_wait: Callable[[], None] = lambda: None
    elsewhere: Callable[[], bool] = lambda: True
    times_bypassed: int = 0


@dataclass
class Budget:
    """Bytes and cores that running jobs share. Thread-safe.

    More encoders than cores finish no sooner, and push each other out of the caches.
    """

    total_bytes: int
    total_cores: int = 1
    _reserved: int = 0
    _cores_taken: int = 0
    _waiters: list[_Share] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def reserved_bytes(self) -> int:
        """The bytes that are reserved now."""
        return self._reserved

    def has_bytes(self, need_bytes: int) -> bool:
        """Whether a job of this need would fit into the memory now."""
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
    def reserve(self, need_bytes: int, cores: int = 0, *, wait: Wait) -> Iterator[Reservation]:
        """Hold `need_bytes` and `cores` inside the block; waits its turn first.

        A job that wants more cores than there are gets all of them. Raises NoRoomYet when another
        worker should try or the wait was cancelled, ExceedsMemoryBudget when it can never fit.
        """
        reservation = Reservation(self)
        reservation.exchange(need_bytes, cores, wait=wait)
        try:
            yield reservation
        finally:
            reservation.release()

    def enter(self, need_bytes: int, cores: int, wait: Wait) -> _Share:
        """Wait for a share. Raises as `reserve` does; then nothing is held."""
        self.check(need_bytes)
        share = _Share(need_bytes, min(cores, self.total_cores), wait.times_bypassed)
        with self._changed:
            self._waiters.append(share)
            if self._admit(share):
                return share
        try:
            wait.on_wait()  # outside of the lock: it writes to the store
            self._wait(share, wait)
        except BaseException:
            with self._changed:
                self._waiters.remove(share)
                self._changed.notify_all()
            raise
        return share

    def leave(self, share: _Share) -> None:
        """Release a share, and wake the jobs that wait."""
        with self._changed:
            self._reserved -= share.need_bytes
            self._cores_taken -= share.cores
            self._changed.notify_all()

    def _wait(self, share: _Share, wait: Wait) -> None:
        while not self._admitted_in_time(share, wait):
            # (outside of the lock, since `elsewhere` reads the store)
            if share.times_bypassed < MOST_BYPASSES and wait.elsewhere():
                raise NoRoomYet(share.times_bypassed + 1)

    def _admitted_in_time(self, share: _Share, wait: Wait) -> bool:
        until = time.monotonic() + wait.seconds
        with self._changed:
            while not self._admit(share):
                left = until - time.monotonic()
                if wait.cancelled():
                    raise NoRoomYet(share.times_bypassed)
                if left <= 0:
                    return False
                # `cancelled` may change without a notification, so look again soon.
                self._changed.wait(min(left, 0.5))
        return True

    def _admit(self, share: _Share) -> bool:
        """Admit a share that fits, unless an earlier one fits too or was bypassed too often."""
        earlier = self._waiters[: self._waiters.index(share)]
        # A job that waits for a core alone loses nothing to a job that needs none.
        passed = [other for other in earlier if share.cores or not self.has_bytes(other.need_bytes)]
        if not self._fits(share) or any(map(self._fits, earlier)):
            return False
        if any(other.times_bypassed >= BYPASSES for other in passed):
            return False
        for other in passed:
            other.times_bypassed += 1
        self._waiters.remove(share)
        self._reserved += share.need_bytes
        self._cores_taken += share.cores
        self._changed.notify_all()  # the next in line may fit as well
        return True

    def _fits(self, share: _Share) -> bool:
        has_cores = not share.cores or self._cores_taken + share.cores <= self.total_cores
        return has_cores and self.has_bytes(share.need_bytes)


class Reservation:
    """A share of the budget that is held now, and can be exchanged for another."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._share: _Share | None = None

    @property
    def need_bytes(self) -> int:
        """The bytes that are held now."""
        return self._share.need_bytes if self._share else 0

    def exchange(self, need_bytes: int, cores: int = 0, *, wait: Wait) -> None:
        """Hold this much instead, unless more is held already. The old share is released first:
        of two jobs that each kept their share while they waited for more, neither would get it.

        Raises as `Budget.reserve` does; then nothing is held.
        """
        held = self._share
        if held and need_bytes <= held.need_bytes and cores <= held.cores:
            return
        self.release()
        self._share = self._budget.enter(need_bytes, cores, wait)

    def release(self) -> None:
        """Hold nothing any more."""
        share, self._share = self._share, None
        if share is not None:
            self._budget.leave(share)
