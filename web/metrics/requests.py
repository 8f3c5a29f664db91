"""The times of requests: collected here and added to the store, for all API processes together.

So any API process that Prometheus reaches reports the numbers of all.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections import Counter

from tasks.errors import StoreUnavailable
from tasks.metrics.catalogue import buckets_of
from tasks.metrics.counters import counter_name
from tasks.store import Store

log = logging.getLogger(__name__)

METRIC = "http_request_seconds"
PERIOD_SECONDS = 2.0

Row = tuple[str, str, str]  # route, method, status


class RequestMetrics:
    """The requests of this process that are not in the store yet. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._edges = tuple(buckets_of(METRIC))
        self._bounds = (*(f"{edge:g}" for edge in self._edges), "+Inf")
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Row, int]] = Counter()  # the int: which bucket
        self._seconds: dict[Row, float] = {}

    def observe(self, row: Row, seconds: float) -> None:
        """Count one request. Every request comes through here, so this does no more than count."""
        bucket = bisect_left(self._edges, seconds)
        with self._lock:
            self._counts[row, bucket] += 1
            self._seconds[row] = self._seconds.get(row, 0.0) + seconds

    def hand_over(self) -> None:
        """Add the collected numbers to the store's. Raises StoreUnavailable and then keeps them.

        If the store dies after adding them and before its answer, they are added twice.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
            seconds, self._seconds = self._seconds, {}
        try:
            self._store.counters.add(self._flat(counts, seconds))
        except StoreUnavailable:
            with self._lock:
                self._counts.update(counts)
                for row, sum_ in seconds.items():
                    self._seconds[row] = self._seconds.get(row, 0.0) + sum_
            raise

    def pending(self) -> dict[str, float]:
        """The numbers that were not handed over yet, by flat names."""
        with self._lock:
            return self._flat(self._counts, self._seconds)

    def keep_handing_over(self, closing: threading.Event) -> None:
        """Start a thread that hands over every few seconds until `closing` is set."""
        threading.Thread(
            target=self._keep, args=(closing,), name="request metrics", daemon=True
        ).start()

    def _keep(self, closing: threading.Event) -> None:
        while not closing.wait(PERIOD_SECONDS):
            self.try_to_hand_over()

    def try_to_hand_over(self) -> None:
        """Hand over if the store answers; else the numbers stay here."""
        try:
            self.hand_over()
        except StoreUnavailable as error:
            log.debug("the numbers of requests have to wait: %s", error.message)

    def _flat(
        self, counts: Counter[tuple[Row, int]], seconds: dict[Row, float]
    ) -> dict[str, float]:
        numbers: Counter[str] = Counter()
        for (row, bucket), count in counts.items():
            labels = _labels(row)
            numbers[counter_name(f"{METRIC}_bucket", le=self._bounds[bucket], **labels)] += count
            numbers[counter_name(f"{METRIC}_count", **labels)] += count
        sums = {
            counter_name(f"{METRIC}_sum", **_labels(row)): sum_ for row, sum_ in seconds.items()
        }
        return {**numbers, **sums}


def _labels(row: Row) -> dict[str, str]:
    return dict(zip(("route", "method", "status"), row, strict=True))
