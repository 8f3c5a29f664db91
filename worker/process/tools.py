"""Running the tools of one attempt: in its folder, under its stop, its deadline and its limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.machine import visible_cores
from tasks.errors import DeadlineExceeded, JobError, MemoryExceeded, StorageFull, ToolFailed
from tasks.metrics.observer import JobObserver
from tasks.tracing.context import NO_TRACING, Tracing, Value
from worker.process import rlimits
from worker.process.cgroups import Groups
from worker.process.run import Finished, Limits, ProcessEnd, Stop, Stopped, run_process

NEAR_LIMIT = 0.9  # of a tool's limit: a tool that fails above it may have been refused more memory


class ToolRunner:
    """Starts processes for one attempt, and records what they used."""

    def __init__(
        self,
        folder: Path,
        stop: Stop,
        observer: JobObserver,
        *,
        deadline_seconds: float,
        memory_bytes: int,
        groups: Groups | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.folder = folder
        self.memory_bytes = memory_bytes  # what each tool may use; they run one after the other
        self.peak_bytes = 0
        self.stopped_at_bytes = 0  # the limit that a tool reached by measured memory
        self.observer = observer
        self._stop = stop
        self._groups = groups
        self._tracing = tracing
        self._ends_at = time.monotonic() + deadline_seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline of the attempt; never quite 0."""
        return max(0.1, self._ends_at - time.monotonic())

    def limits(self, deadline_seconds: float | None = None, **more: Any) -> Limits:
        """The attempt's own limits, with a shorter deadline or further limits if given."""
        seconds = min(self.seconds_left, deadline_seconds or self.seconds_left)
        return Limits(deadline_seconds=seconds, memory_bytes=self.memory_bytes, **more)

    def runner(
        self, tool: str
    ) -> Callable[[list[str], Limits, Callable[[str], None] | None], Finished]:
        """`run` for one tool, in the form that its adapter calls."""
        return lambda argv, limits, on_line: self.run(tool, argv, limits, on_line)

    def run(
        self,
        tool: str,
        argv: list[str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run one tool to its end, and record its peak."""
        bounded = self._bounded(limits)
        with self._tracing.span(tool, {"process.executable.name": tool}) as note:
            finished = run_process(
                argv, folder=self.folder, limits=bounded, stop=self._stop, on_line=on_line
            )
            note(_account(finished))
        self.peak_bytes = max(self.peak_bytes, finished.peak_bytes)
        if _met_limit(finished, limits.memory_bytes):
            self.stopped_at_bytes = limits.memory_bytes or 0
        self.observer.tool_finished(tool, finished.peak_bytes)
        return self._unless_stopped(finished)

    def _bounded(self, limits: Limits) -> Limits:
        """The limits, with those that the kernel enforces."""
        seconds = min(limits.deadline_seconds, self.seconds_left)
        return replace(
            limits,
            deadline_seconds=seconds,
            cpu_seconds=rlimits.cpu_seconds(seconds, visible_cores()),
            data_bytes=rlimits.data_bytes(self.memory_bytes, visible_cores()),
            group=self._groups.next() if self._groups else None,
        )

    def _unless_stopped(self, finished: Finished) -> Finished:
        """Raises Stopped when the end was requested; a JobError for some limits."""
        if finished.end is ProcessEnd.DISK and self._stop.reason is ProcessEnd.DISK:
            raise StorageFull("the disk of this machine ran full")
        if finished.end in {ProcessEnd.CANCELLED, ProcessEnd.SHUTDOWN}:
            raise Stopped(finished.end)
        if finished.end is ProcessEnd.LOST:
            if self._stop.reason is ProcessEnd.LOST:
                raise Stopped(ProcessEnd.LOST)
            raise ToolFailed("the tool's guard was killed")
        if finished.end is ProcessEnd.PROCESSES:  # no lack of memory, so no peak is recorded
            raise ToolFailed("the tool started more processes than a job may")
        return finished


def _met_limit(finished: Finished, memory_bytes: int | None) -> bool:
    """Whether the tool ended for lack of memory: stopped at the limit, or failed just below it."""
    if memory_bytes is None or (finished.end is ProcessEnd.EXITED and finished.returncode == 0):
        return False
    return finished.peak_bytes >= NEAR_LIMIT * memory_bytes


def _account(finished: Finished) -> dict[str, Value]:
    """The attributes of a process's span."""
    return {
        "clipmill.process.end": finished.end.value,
        "process.exit.code": finished.returncode,
        "clipmill.process.cpu_seconds": finished.cpu_seconds,
        "clipmill.process.peak_bytes": finished.peak_bytes,
    }


def ended_error(finished: Finished) -> JobError | None:
    """The error for a limit of ours; None when the tool ended by itself."""
    return {
        ProcessEnd.DEADLINE: DeadlineExceeded("the tool took longer than allowed"),
        ProcessEnd.STALLED: DeadlineExceeded("the tool made no progress for too long"),
        ProcessEnd.MEMORY: MemoryExceeded("the tool took more memory than allowed"),
        ProcessEnd.DISK: StorageFull("the tool wrote more than allowed"),
    }.get(finished.end)
