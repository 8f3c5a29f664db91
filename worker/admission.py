"""The memory budget: as many media jobs side by side as fit, and never one more."""

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
    overtaken: int = 0


@dataclass
class Budget:
    """A number of bytes that running jobs share. Thread-safe."""

    total_bytes: int
    _reserved: int = 0
    _waiters: list[_Waiter] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def reserved_bytes(self) -> int:
        """What is given out now."""
        return self._reserved

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
        *,
        patience_seconds: float,
        given_up: Callable[[], bool] = lambda: False,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Hold `need_bytes` inside the block; waits its turn first.

        `on_wait` is called once if it has to wait; `given_up` ends the wait early. Raises
        NoRoomYet after `patience_seconds`, ExceedsMemoryBudget when it can never fit.
        """
        self.check(need_bytes)
        self._enter(need_bytes, time.monotonic() + patience_seconds, given_up, on_wait)
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= need_bytes
                self._changed.notify_all()

    def _enter(
        self,
        need_bytes: int,
        until: float,
        given_up: Callable[[], bool],
        on_wait: Callable[[], None],
    ) -> None:
        waiter = _Waiter(need_bytes)
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
        """Let it in if it fits and passes nobody who has been passed too often."""
        earlier = self._waiters[: self._waiters.index(waiter)]
        fits = self._reserved + waiter.need_bytes <= self.total_bytes
        if not fits or any(other.overtaken >= OVERTAKES for other in earlier):
            return False
        for other in earlier:
            other.overtaken += 1
        self._waiters.remove(waiter)
        self._reserved += waiter.need_bytes
        return True
