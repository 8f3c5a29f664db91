"""Retries of a write while the store is down, for a limited time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tasks.errors import StoreUnavailable

PAUSE_SECONDS = 0.25

Answer = TypeVar("Answer")


def _never() -> bool:
    return False


@dataclass(frozen=True)
class RetryFor:
    """How long to retry; `cancelled` ends the retries early."""

    seconds: float
    cancelled: Callable[[], bool] = _never

    def run(self, attempt: Callable[[], Answer]) -> Answer:
        """The result of the attempt, which must be safe to repeat. Raises StoreUnavailable."""
        until = time.monotonic() + self.seconds
        while True:
            try:
                return attempt()
            except StoreUnavailable:
                if time.monotonic() >= until or self.cancelled():
                    raise
            time.sleep(PAUSE_SECONDS)


NO_RETRY = RetryFor(0.0)
