"""Samples the memory of a worker with its media processes, and how long it was too much."""

from __future__ import annotations

import time
from itertools import pairwise

from clipmill.demo.memory import Sampler
from worker.process import tree

LOOK_SECONDS = 0.1
# What a worker and its media processes may hold beyond the budget, or for how long more than that.
OVER_SHARE = 1.05
OVER_SECONDS = 1.0
# A gap between two samples that is longer than this proves nothing: twice as long as memory may be
# over the budget, since a busy machine delays this thread too.
BLIND_SECONDS = 2.0


class Scales(Sampler):
    """Samples a worker with all its descendants ten times a second, each shared page once (PSS)."""

    def __init__(self, pid: int) -> None:
        super().__init__(LOOK_SECONDS)
        self._pid = pid
        self.seen: list[tuple[float, int]] = []

    def look(self) -> None:
        """Record the time and the memory."""
        pids = [self._pid, *tree.descendants(self._pid)]
        weight = sum(map(tree.proportional_bytes, pids))
        self.seen.append((time.monotonic(), weight))

    @property
    def most_bytes(self) -> int:
        """The largest sample."""
        return max(weight for _, weight in self.seen)

    def longest_blind_seconds(self) -> float:
        """The longest gap between two samples."""
        return max(after - before for (before, _), (after, _) in pairwise(self.seen))

    def longest_over(self, limit_bytes: float) -> float:
        """The longest time, in seconds, during which all samples were above the limit."""
        longest, since = 0.0, None
        for at, weight in self.seen:
            since = (since or at) if weight > limit_bytes else None
            longest = max(longest, at - since if since else 0.0)
        return longest

    def check(self, budget_bytes: int) -> None:
        """Assert that the samples have no gap and that the budget was kept."""
        assert len(self.seen) > 20
        assert self.longest_blind_seconds() <= BLIND_SECONDS
        assert self.longest_over(OVER_SHARE * budget_bytes) <= OVER_SECONDS
