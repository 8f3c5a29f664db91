"""What a worker does beside its jobs: threads that go the same round again and again."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from tasks.errors import StoreUnavailable

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0  # what a round that has begun may take to its end


class PeriodicThread(ABC):
    """Goes a round every few seconds from `start` to `stop`, whatever goes wrong in one.

    A thread that had ended unseen would be the worst of all faults: leases would run out, lost
    jobs stay lost.
    """

    def __init__(self, name: str, period_seconds: float) -> None:
        self._name = name
        self.period_seconds = period_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)

    def start(self) -> None:
        """Go the first round now, and the next after each pause."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present round."""
        self._stopping.set()
        self._thread.join(timeout=STOP_SECONDS)

    @abstractmethod
    def round(self) -> None:
        """Go round once. What it raises is logged, and the next round comes all the same."""

    def _go(self) -> None:
        while not self._stopping.is_set():
            try:
                self.round()
            except StoreUnavailable as error:
                log.warning("%s has to wait: %s", self._name, error.message)
            except Exception:
                log.exception("%s failed", self._name)
            self._stopping.wait(self.period_seconds)
