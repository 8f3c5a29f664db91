"""Limits on requests that last: how many at once, and how many of one caller."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from config.memory import MOST_WAITING
from config.settings import Settings
from tasks.errors import RequestError
from web.http.errors import TooManyTransfers, TooManyWaiting

_MOST_RECEIVED = 32  # a file that comes holds a thread for as long as its client sends
_MOST_LONG_BODIES = 4  # each is held whole, as text and as values; more would only cost memory


class Slots:
    """Places for one sort of request. Thread-safe.

    Where callers have keys, one caller gets three quarters of the places, so that others find some.
    """

    def __init__(
        self, count: int, refusal: type[RequestError], message: str, *, shared: bool
    ) -> None:
        self.count = count
        self._share = max(1, count * 3 // 4) if shared else count
        self._refusal = refusal
        self._message = message
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def enter(self, caller: str) -> Callable[[], None]:
        """Take a place; returns what gives it back. Raises the given error when there is none."""
        with self._lock:
            if self._held.total() >= self.count:
                raise self._refusal(self._message)
            if self._held[caller] >= self._share:
                raise self._refusal(f"{self._message} (those of this key alone are too many)")
            self._held[caller] += 1
        return lambda: self._leave(caller)

    def _leave(self, caller: str) -> None:
        with self._lock:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Hold a place for the time of the block."""
        leave = self.enter(caller)
        try:
            yield
        finally:
            leave()


@dataclass(frozen=True)
class Places:
    """The slots of one application."""

    waiting: Slots  # `?wait=`, events
    transfers: Slots  # answers that send a file, which last as long as their clients read
    receiving: Slots  # requests that send a file
    long_bodies: Slots  # bodies that may hold a thousand jobs

    @classmethod
    def by(cls, settings: Settings) -> Places:
        """As many as the settings say."""
        shared = settings.auth_required
        return cls(
            Slots(
                MOST_WAITING, TooManyWaiting,
                "too many requests wait already; send the request without waiting", shared=shared,
            ),
            Slots(
                settings.max_transfers, TooManyTransfers,
                "too many files are being sent already; try again later", shared=shared,
            ),
            Slots(
                _MOST_RECEIVED, TooManyTransfers,
                "too many files are being received already; try again later", shared=shared,
            ),
            Slots(
                _MOST_LONG_BODIES, TooManyTransfers,
                "too many long requests are being read already; try again later", shared=shared,
            ),
        )  # fmt: skip
