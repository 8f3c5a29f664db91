"""One clip of the sweep: its estimate beside its peak."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.values import MIB
from worker.calibration.trial import Trial, run_trial
from worker.memory.table import Table

LOWEST, HIGHEST = 0.90, 1.35


@dataclass(frozen=True)
class Row:
    """What was made, the job's estimate, and the largest peak of its tools."""

    name: str
    estimate_bytes: int
    peak_bytes: int

    @property
    def ratio(self) -> float:
        return self.estimate_bytes / self.peak_bytes

    @property
    def within(self) -> bool:
        return LOWEST <= self.ratio <= HIGHEST

    def values(self) -> dict[str, object]:
        """The row as values for programs."""
        return {**vars(self), "ratio": round(self.ratio, 3)}

    def cells(self) -> tuple[str, ...]:
        """The row as text for people."""
        sizes = (f"{size / MIB:.0f}" for size in (self.estimate_bytes, self.peak_bytes))
        return (self.name, *sizes, f"{self.ratio:.2f}")


def measured(trial: Trial, folder: Path, table: Table) -> Row:
    """Make the clip as a job would, and compare."""
    seen = run_trial(trial, folder)
    estimate = max(map(table.bytes_of, seen.steps.values()))
    return Row(str(trial), estimate, seen.peak_bytes)
