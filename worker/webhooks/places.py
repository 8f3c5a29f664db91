"""How many messages a sender has under way: endpoints that failed last have half of the places."""

from __future__ import annotations

import threading


class Places:
    """Counts what is under way."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._taken = {False: 0, True: 0}

    @property
    def free(self) -> int:
        """For any endpoint."""
        with self._lock:
            return self.total - sum(self._taken.values())

    @property
    def free_for_failing(self) -> int:
        """For endpoints that failed last."""
        with self._lock:
            return max(0, self.total // 2 - self._taken[True])

    def take(self, failing: bool) -> None:
        """One more is under way."""
        with self._lock:
            self._taken[failing] += 1

    def give_back(self, failing: bool) -> None:
        """One has ended."""
        with self._lock:
            self._taken[failing] -= 1
