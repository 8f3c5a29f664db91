"""One attempt of a job: its tools, within its reservation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from tasks.errors import ArtifactExpired, SourceFailed
from tasks.job import Job
from tasks.media import MediaFacts
from worker.attempt.lease import LeasedJob
from worker.attempt.machine import Machine
from worker.attempt.source import source_of
from worker.attempt.usage import Usage
from worker.egress.client import Way
from worker.memory.capacity import Capacity
from worker.memory.estimate import GUARD_BYTES
from worker.memory.need import ResourceNeed
from worker.pyav.client import run_program

PROBE_SECONDS = 30.0

# Releases the reservation of an attempt and waits for another one, at most so many seconds.
Exchange = Callable[[ResourceNeed, float], None]


@dataclass(frozen=True)
class SourceMedia:
    """The file that a job works on."""

    path: Path
    facts: MediaFacts
    title: str


class Attempt:
    """What a handler may use of this machine for one attempt of one job."""

    def __init__(
        self,
        machine: Machine,
        leased: LeasedJob,
        folder: Path,
        need: ResourceNeed,
        exchange: Exchange,
    ) -> None:
        self.need = need  # what is reserved now
        self.tools = machine.tools(folder, leased, need)
        self.leased = leased
        self._machine = machine
        self._exchange = exchange

    @property
    def job(self) -> Job:
        """The record as we last wrote it."""
        return self.leased.job

    @property
    def settings(self) -> Settings:
        """The settings of this worker."""
        return self._machine.settings

    @property
    def capacity(self) -> Capacity:
        """The memory and cores that another estimate may count on."""
        return self._machine.capacity

    def enter(self, phase: str) -> None:
        """Record what the attempt does now: a phase from the row of its kind."""
        self.leased.change(lambda job: job.entered(phase))

    def progress(
        self, fraction: float, speed: float | None = None, eta_seconds: float | None = None
    ) -> None:
        """Report progress: a share from 0 to 1, media seconds a second, seconds left."""
        self.leased.progress(fraction, speed, eta_seconds)

    @contextmanager
    def source(self) -> Iterator[SourceMedia]:
        """The file that the job's source delivered, for the block. Raises SourceFailed."""
        artifact, storage = source_of(self._machine.store, self.job), self._machine.storage
        with ExitStack() as held:
            try:
                local = storage.local(artifact.storage_key, self.tools.folder)
                path = held.enter_context(local)
            except ArtifactExpired as error:
                raise SourceFailed("the source's file is no longer kept") from error
            self._machine.store.artifacts.used(artifact.id)
            if not storage.has(artifact.storage_key, artifact.size_bytes):
                raise SourceFailed("the source's file has been changed")
            facts = MediaFacts.from_dict(artifact.facts) if artifact.facts else self.probe(path)
            yield SourceMedia(path, facts, Path(artifact.filename).stem)

    @contextmanager
    def network(self, most_bytes: int) -> Iterator[Way]:
        """A way to the network for the block, and the only one.

        A failure of the block that follows from a refusal is that refusal.
        """
        egress = self._machine.egress
        assert egress is not None  # only trials of memory do without
        with egress.way(most_bytes) as way:
            yield way

    def probe(self, path: Path) -> MediaFacts:
        """What a file holds. Raises a JobError when it is no media."""
        spec, limits = {"source": str(path)}, self.tools.limits(PROBE_SECONDS)
        return MediaFacts.from_dict(run_program(self.tools, "probe", spec, limits))

    def reserve(self, need: ResourceNeed) -> ResourceNeed:
        """Exchange the reservation for another one; returns what is reserved then.

        Raises NoRoomYet when the wait takes too long.
        """
        floor = min(self.job.memory_floor_bytes, self.capacity.budget_bytes)
        need = need.at_least(floor)
        self._exchange(need, self.tools.seconds_left)
        self.need = need
        self.tools.memory_bytes = need.memory_bytes - GUARD_BYTES
        return need

    def account(self, *, stopped: bool = False) -> Usage:
        """Record the memory that the attempt used; `stopped`: it was stopped for using too much.

        A stopped attempt counts for later estimates only when its measured memory came near the
        limit: a tool's error text alone may have other causes, or come from the media file.
        """
        peak_bytes = self.tools.peak_bytes
        usage = Usage(peak_bytes, self.need.estimate_bytes or self.need.memory_bytes)
        if least_bytes := self.tools.stopped_at_bytes if stopped else peak_bytes:
            seen = max(peak_bytes, least_bytes)
            self._machine.peaks.note(self.need, seen, stopped=stopped)
        if peak_bytes:
            self.leased.observer.memory_compared(usage.ratio)
        return usage
