"""Threads beside the jobs of a worker, each with a round of work that it repeats."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from tasks.errors import StoreUnavailable

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0  # how long a round that has begun may still take


class PeriodicThread(ABC):
    """Runs `round` every few seconds from `start` to `stop`, also after a round that failed.

    A thread that ended unseen would be the worst of all faults: leases would expire, and lost jobs
    would stay lost.
    """

    def __init__(self, name: str, period_seconds: float) -> None:
        self._name = name
        self.period_seconds = period_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread: the first round runs now, the next after each pause."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present round."""
        self._stopping.set()
        self._thread.join(timeout=STOP_SECONDS)

    @abstractmethod
    def round(self) -> None:
        """Do one round. An error is logged, and the next round comes all the same."""

    def _go(self) -> None:
        while not self._stopping.is_set():
            try:
                self.round()
            except StoreUnavailable as error:
                log.warning("%s has to wait: %s", self._name, error.message)
            except Exception:
                log.exception("%s failed", self._name)
            self._stopping.wait(self.period_seconds)
