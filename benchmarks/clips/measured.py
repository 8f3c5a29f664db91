"""All figures of one way of cutting."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clips.ways import Attempt, Way
from benchmarks.cost import Cost
from benchmarks.numbers import median, spread


@dataclass
class Measured:
    """The attempts of one way. `faults` has one list for each clip of each attempt."""

    way: Way
    costs: list[Cost] = field(default_factory=list)
    more: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[list[str]] = field(default_factory=list)

    def add(self, attempt: Attempt, faults: list[list[str]]) -> None:
        self.costs.append(attempt.cost)
        self.faults += faults
        for name, value in attempt.more.items():
            self.more[name].append(value)

    @property
    def wall_seconds(self) -> float:
        """The median."""
        return median([cost.wall_seconds for cost in self.costs])

    @property
    def cpu_seconds(self) -> float:
        """The median."""
        return median([cost.cpu_seconds for cost in self.costs])

    @property
    def peak_bytes(self) -> int:
        """The largest of all rounds: a limit is kept always or not at all."""
        return max(cost.peak_bytes for cost in self.costs)

    @property
    def exact(self) -> str:
        """The number of exact clips, of how many."""
        return f"{self.faults.count([])}/{len(self.faults)}"

    def values(self) -> dict[str, Any]:
        """The figures for the JSON."""
        return {
            "wall_seconds": spread([cost.wall_seconds for cost in self.costs]),
            "cpu_seconds": spread([cost.cpu_seconds for cost in self.costs]),
            "peak_bytes": self.peak_bytes,
            "longest_gap_seconds": max(cost.longest_gap_seconds for cost in self.costs),
            "more_seconds": {name: spread(values) for name, values in self.more.items()},
            "clips": len(self.faults),
            "exact_clips": self.faults.count([]),
            "faults": [faults for faults in self.faults if faults],
        }
