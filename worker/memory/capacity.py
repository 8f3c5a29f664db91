"""The memory and cores that an estimate counts on, and the corrections by observed peaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.memory.table import Table, shipped_table

Factor = Callable[[str], float]  # what the estimate of a shape is multiplied by


def uncorrected(shape: str) -> float:
    """The factor while no peak was observed."""
    return 1.0


@dataclass(frozen=True)
class Capacity:
    """`budget_bytes` and `cores` of the machine; None stands for the cores that are visible here.

    `factor` corrects the model of `table` for a shape of work by the peaks that were observed.
    """

    budget_bytes: int
    idle_cores: int = 1
    cores: int | None = None
    factor: Factor = uncorrected
    table: Table = field(default_factory=shipped_table)
