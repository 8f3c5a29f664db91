"""What all attempts on this machine share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.machine import cpu_count
from config.settings import Settings
from tasks.storage import Storage
from tasks.store import Store
from tasks.tracing.context import NO_TRACING, Tracing
from worker.attempt.lease import LeasedJob
from worker.egress.client import Egress
from worker.memory.capacity import Capacity
from worker.memory.estimate import GUARD_BYTES
from worker.memory.need import ResourceNeed
from worker.memory.peaks import Peaks
from worker.memory.table import Table, shipped_table
from worker.process.cgroups import Groups
from worker.process.tools import ToolRunner


@dataclass(frozen=True)
class Machine:
    """Settings, stores and memory groups, with the table and the peaks that estimates use."""

    settings: Settings
    store: Store
    storage: Storage
    jobs_in_hand: Callable[[], int]
    tracing: Tracing = NO_TRACING
    peaks: Peaks = field(default_factory=Peaks)
    table: Table = field(default_factory=shipped_table)
    groups: Groups | None = None
    egress: Egress | None = None

    @property
    def capacity(self) -> Capacity:
        """The memory and cores that an estimate may count on now."""
        others = max(0, self.jobs_in_hand() - 1)
        return Capacity(
            self.settings.memory_budget_bytes,
            idle_cores=max(1, cpu_count() - others),
            factor=self.peaks.factor,
            table=self.table,
        )

    def tools(self, folder: Path, leased: LeasedJob, need: ResourceNeed) -> ToolRunner:
        """The tools of one attempt, limited to its reservation."""
        return ToolRunner(
            folder,
            leased.stop,
            leased.observer,
            deadline_seconds=self.settings.job_deadline_seconds,
            memory_bytes=need.memory_bytes - GUARD_BYTES,
            groups=self.groups,
            tracing=self.tracing,
        )
