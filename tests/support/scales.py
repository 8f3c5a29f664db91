"""Weighs a worker with its media processes again and again, and tells how long it was too much."""

from __future__ import annotations

import time
from itertools import pairwise

from clipmill.demo.memory import Sampler
from worker.process import tree

LOOK_SECONDS = 0.1
# What a worker and its media processes may hold beyond the budget, or for how long more than that.
OVER_SHARE = 1.05
OVER_SECONDS = 1.0
# Who has not looked for so long has not seen that it was kept: twice as long as it may be over,
# since a busy machine keeps also this thread from its core.
BLIND_SECONDS = 2.0


class Scales(Sampler):
    """Weighs a worker with all below it ten times a second, each shared page once (PSS)."""

    def __init__(self, pid: int) -> None:
        super().__init__(LOOK_SECONDS)
        self._pid = pid
        self.seen: list[tuple[float, int]] = []

    def look(self) -> None:
        """Note the time and the weight."""
        pids = [self._pid, *tree.descendants(self._pid)]
        weight = sum(map(tree.proportional_bytes, pids))
        self.seen.append((time.monotonic(), weight))

    @property
    def most_bytes(self) -> int:
        """The largest weight that was seen."""
        return max(weight for _, weight in self.seen)

    def longest_blind_seconds(self) -> float:
        """How long it did not look."""
        return max(after - before for (before, _), (after, _) in pairwise(self.seen))

    def longest_over(self, limit_bytes: float) -> float:
        """For how many seconds on end it was more than that."""
        longest, since = 0.0, None
        for at, weight in self.seen:
            since = (since or at) if weight > limit_bytes else None
            longest = max(longest, at - since if since else 0.0)
        return longest

    def check(self, budget_bytes: int) -> None:
        """It looked all the time, and the budget was kept."""
        assert len(self.seen) > 20
        assert self.longest_blind_seconds() <= BLIND_SECONDS
        assert self.longest_over(OVER_SHARE * budget_bytes) <= OVER_SECONDS
