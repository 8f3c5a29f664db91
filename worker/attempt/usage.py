"""The memory that an attempt used, beside its estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from tasks.result import Result

AnyResult = TypeVar("AnyResult", bound=Result)


@dataclass(frozen=True)
class Usage:
    """Bytes at the peak, observed and expected; both are 0 where no tool had to run."""

    peak_bytes: int = 0
    estimate_bytes: int = 0

    @property
    def ratio(self) -> float | None:
        """Observed to expected; None where there is nothing to compare."""
        if not self.peak_bytes or not self.estimate_bytes:
            return None
        return round(self.peak_bytes / self.estimate_bytes, 3)

    def recorded_in(self, result: AnyResult) -> AnyResult:
        """The result with the memory that its job used."""
        return replace(
            result,
            peak_memory_bytes=self.peak_bytes,
            estimated_memory_bytes=self.estimate_bytes,
            memory_ratio=self.ratio,
        )
