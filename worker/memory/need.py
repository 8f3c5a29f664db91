"""What a job may use of this machine, as admission reserves it and the guard enforces it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class ResourceNeed:
    """Bytes and cores to reserve, and how decoder and encoder are to run within them.

    `memory_bytes` is also the most that the job may use. `estimate_bytes` is the expected peak;
    `model_bytes` is the prediction before its correction by the observed peaks of jobs of this
    `shape`, which names the model's table as well. `memory_saving_level` counts the steps away from
    the usual settings.
    """

    memory_bytes: int
    threads: int = 1
    cores: int = 0
    memory_saving_level: int = 0
    estimate_bytes: int = 0
    model_bytes: int = 0
    shape: str = ""

    def at_least(self, memory_bytes: int) -> Self:
        """The same need with at least `memory_bytes`."""
        return replace(self, memory_bytes=max(self.memory_bytes, memory_bytes))
