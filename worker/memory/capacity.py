"""What an estimate counts on: the memory and cores of a machine, and what was learned there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.memory.table import Table, shipped_table

Factor = Callable[[str], float]  # by what the estimate of a shape is to be multiplied


def uncorrected(shape: str) -> float:
    """The factor of a machine that has learned nothing yet."""
    return 1.0


@dataclass(frozen=True)
class Capacity:
    """`budget_bytes` and `cores` are the machine's, None for the cores that are seen here.

    `factor` corrects the model of `table` for a shape of work by the peaks that were seen.
    """

    budget_bytes: int
    idle_cores: int = 1
    cores: int | None = None
    factor: Factor = uncorrected
    table: Table = field(default_factory=shipped_table)
