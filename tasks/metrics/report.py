"""What a worker reports about itself, for /metrics, health and the other workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tasks.result import known


@dataclass(frozen=True)
class WorkerReport:
    """What a worker reports about itself every few seconds. Sizes in bytes."""

    id: str
    host: str
    seen_at: float
    concurrency: int
    running: int
    memory_budget_bytes: int
    memory_reserved_bytes: int
    memory_used_bytes: int
    disk_free_bytes: int  # on the disk of workspaces
    kinds: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    storage_free_bytes: int | None = None  # of the storage; None: no limit is known
    disk_floor_bytes: int = 0  # with less free on either disk, it starts no job
    cpu_percent: float = 0.0  # of all cores, by all processes
    own_cpu_percent: float = 0.0  # of all cores, by this worker and its tools
    io_wait_percent: float = 0.0  # of all cores, idle because a disk is slow
    jobs_waiting_for_memory: int = 0  # jobs that do not fit into the budget now
    phases: dict[str, int] = field(default_factory=dict)  # how many jobs are in each phase
    throttled_sites: tuple[str, ...] = ()  # sites that throttled it lately
    limit: str = "nothing"  # see `tasks.metrics.bottleneck`
    limit_since: float = 0.0

    @property
    def free_bytes_by_disk(self) -> dict[str, int]:
        """Free bytes on the disk of workspaces and in the storage, if the storage has a limit."""
        known = {"work": self.disk_free_bytes, "storage": self.storage_free_bytes}
        return {disk: free for disk, free in known.items() if free is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `asdict` wrote, perhaps in another version of this program."""
        lists = {name: tuple(values.get(name, ())) for name in ("kinds", "throttled_sites")}
        return known(cls, {**values, **lists})
