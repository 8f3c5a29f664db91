"""What a worker says of itself, for /metrics, health and the other workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself every few seconds. Sizes in bytes."""

    id: str
    host: str
    seen_at: float
    concurrency: int
    running: int
    memory_budget_bytes: int
    memory_reserved_bytes: int
    memory_used_bytes: int
    disk_free_bytes: int  # where it works
    kinds: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    storage_free_bytes: int | None = None  # where artifacts are; None: no limit is known
    disk_floor_bytes: int = 0  # with less free than this on either, it starts nothing
    cpu_percent: float = 0.0  # of all cores, whoever uses them
    own_cpu_percent: float = 0.0  # of all cores, by this worker and its tools
    io_wait_percent: float = 0.0  # of all cores, idle because a disk is slow
    jobs_waiting_for_memory: int = 0  # jobs that the budget has no room for
    phases: dict[str, int] = field(default_factory=dict)  # jobs in each
    throttled_sites: tuple[str, ...] = ()  # lately
    limit: str = "nothing"  # see `tasks.metrics.bottleneck`
    limit_since: float = 0.0

    @property
    def free_bytes_by_disk(self) -> dict[str, int]:
        """Room where it works and where artifacts are, if that has a limit."""
        told = {"work": self.disk_free_bytes, "storage": self.storage_free_bytes}
        return {disk: free for disk, free in told.items() if free is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `asdict` wrote, perhaps in another version of this program."""
        known = {item.name for item in fields(cls)}
        lists = {name: tuple(values.get(name, ())) for name in ("kinds", "throttled_sites")}
        return cls(**{name: value for name, value in values.items() if name in known} | lists)
