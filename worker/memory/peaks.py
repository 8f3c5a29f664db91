"""Corrections of the model by the memory that jobs really used: a factor for each shape of work."""

from __future__ import annotations

import logging
import threading
import time

from tasks.errors import StoreUnavailable
from tasks.store.peaks import PeakFactors
from worker.memory.need import ResourceNeed

log = logging.getLogger(__name__)

FRESH_SECONDS = 10.0  # how long the factors that were read last are used


class Peaks:
    """The factors of observed peaks, kept in the store for all workers. Thread-safe.

    While the store is away, the factors that were read last are used: no job fails for an estimate.
    """

    def __init__(
        self, stored: PeakFactors | None = None, fresh_seconds: float = FRESH_SECONDS
    ) -> None:
        self._stored = stored
        self._fresh_seconds = fresh_seconds
        self._factors: dict[str, float] = {}
        self._read_again = 0.0
        self._lock = threading.Lock()

    def factor(self, shape: str) -> float:
        """What the model's prediction is multiplied by for jobs of this shape."""
        self._refresh()
        return self._factors.get(shape, 1.0)

    def note(self, need: ResourceNeed, peak_bytes: int, *, stopped: bool) -> None:
        """Record the peak of a job that ended; `stopped`: it was stopped for using too much memory.

        A job that was stopped used at least its peak, so it raises a factor and never lowers one.
        """
        if self._stored is None or not need.model_bytes:
            return
        seen = peak_bytes / need.model_bytes
        if stopped and seen <= self.factor(need.shape):
            return
        try:
            factor = self._stored.note(need.shape, seen)
        except StoreUnavailable:
            log.warning("a peak could not be recorded", extra={"values": {"shape": need.shape}})
            return
        self._factors[need.shape] = factor

    def _refresh(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._stored is None or now < self._read_again:
                return
            self._read_again = now + self._fresh_seconds  # also after a failure: one try at a time
        try:
            self._factors = self._stored.factors()
        except StoreUnavailable:
            log.warning("the factors of memory could not be read; the last ones are used")
