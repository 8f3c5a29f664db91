"""Running the tools of one attempt: in its folder, under its stop, its deadline and its limits."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.machine import visible_cores
from tasks.errors import (
    CorruptMedia,
    DeadlineExceeded,
    JobError,
    MemoryExceeded,
    StorageFull,
    ToolFailed,
    job_error_codes,
)
from tasks.store.counters import observed
from tasks.tracing import NO_TRACING, Tracing, Value
from worker import bounds
from worker.cgroups import Groups
from worker.media.protocol import Progress, Refusal, Result, encode_spec, parse_line
from worker.process import End, Finished, Limits, Stop, Stopped, run_process
from worker.proctree import SIGKILL

OnProgress = Callable[[Progress], None]
NEAR_LIMIT = 0.9  # of what a tool may hold: who fails there may have been refused the rest
# What Python, the loader, FFmpeg's libraries and x264 say when they are refused memory.
_NO_MEMORY = re.compile(
    r"MemoryError|Cannot allocate memory|malloc of size \d+ failed|std::bad_alloc"
    r"|failed to map segment"
)


class Tools:
    """Starts processes for one attempt and keeps account of what they took."""

    def __init__(
        self,
        folder: Path,
        stop: Stop,
        counters: Counter[str],
        *,
        deadline_seconds: float,
        memory_bytes: int,
        groups: Groups | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.folder = folder
        self.memory_bytes = memory_bytes  # what each tool may hold; they run one after the other
        self.peak_bytes = 0
        self.stopped_at_bytes = 0  # the limit that a tool met by its weight, whatever it said
        self.counters = counters
        self._stop = stop
        self._groups = groups
        self._tracing = tracing
        self._ends_at = time.monotonic() + deadline_seconds

    @property
    def seconds_left(self) -> float:
        """Until the deadline of the attempt; never quite nothing."""
        return max(0.1, self._ends_at - time.monotonic())

    def limits(self, deadline_seconds: float | None = None, **more: Any) -> Limits:
        """The attempt's own limits, with a shorter deadline or further limits if given."""
        seconds = min(self.seconds_left, deadline_seconds or self.seconds_left)
        return Limits(deadline_seconds=seconds, memory_bytes=self.memory_bytes, **more)

    def runner(
        self, tool: str
    ) -> Callable[[list[str], Limits, Callable[[str], None] | None], Finished]:
        """`run` for one tool, as its adapter wants to call it."""
        return lambda argv, limits, on_line: self.run(tool, argv, limits, on_line)

    def run(
        self,
        tool: str,
        argv: list[str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run one tool to its end and note its peak."""
        bounded = self._bounded(tool, limits)
        with self._tracing.span(tool, {"process.executable.name": tool}) as note:
            finished = run_process(
                argv, folder=self.folder, limits=bounded, stop=self._stop, on_line=on_line
            )
            note(_account(finished))
        self.peak_bytes = max(self.peak_bytes, finished.peak_bytes)
        if _met_limit(finished, limits.memory_bytes):
            self.stopped_at_bytes = limits.memory_bytes or 0
        if finished.peak_bytes:
            self.counters.update(observed("subprocess_peak_bytes", finished.peak_bytes, tool=tool))
        return self._unless_stopped(finished)

    def _bounded(self, tool: str, limits: Limits) -> Limits:
        """With what the kernel itself looks after."""
        seconds = min(limits.deadline_seconds, self.seconds_left)
        return replace(
            limits,
            deadline_seconds=seconds,
            cpu_seconds=bounds.cpu_seconds(seconds, visible_cores()),
            data_bytes=bounds.data_bytes(tool, self.memory_bytes, visible_cores()),
            group=self._groups.next() if self._groups else None,
        )

    def _unless_stopped(self, finished: Finished) -> Finished:
        """Raises Stopped when somebody wanted the end, not the tool or its limits."""
        if finished.end is End.DISK and self._stop.reason is End.DISK:
            raise StorageFull("the disk of this machine ran full")
        if finished.end in {End.CANCELLED, End.SHUTDOWN}:
            raise Stopped(finished.end)
        if finished.end is End.LOST:
            if self._stop.reason is End.LOST:
                raise Stopped(End.LOST)
            raise ToolFailed("the tool's guard was killed")
        if finished.end is End.PROCESSES:  # which is no want of memory: nothing to learn from it
            raise ToolFailed("the tool started more processes than a job may")
        return finished

    def program(
        self,
        name: str,
        spec: Mapping[str, Any],
        limits: Limits,
        on_progress: OnProgress = lambda progress: None,
    ) -> dict[str, Any]:
        """Run one of the media programs (`worker.media.NAME`); its result. Raises a JobError."""
        answers: list[Result | Refusal] = []

        def on_line(line: str) -> None:
            message = parse_line(line)
            if isinstance(message, Progress):
                on_progress(message)
            elif message is not None:
                answers.append(message)

        argv = [sys.executable, "-m", f"worker.media.{name}", encode_spec(spec)]
        finished = self.run(name, argv, limits, on_line)
        return _answer(finished, answers, self.memory_bytes)


def _met_limit(finished: Finished, memory_bytes: int | None) -> bool:
    """Whether it ended for want of memory: stopped for its weight, or failed just below that."""
    if memory_bytes is None or (finished.end is End.EXITED and finished.returncode == 0):
        return False
    return finished.peak_bytes >= NEAR_LIMIT * memory_bytes


def _account(finished: Finished) -> dict[str, Value]:
    """What a span says of a process."""
    return {
        "clipmill.process.end": finished.end.value,
        "process.exit.code": finished.returncode,
        "clipmill.process.cpu_seconds": finished.cpu_seconds,
        "clipmill.process.peak_bytes": finished.peak_bytes,
    }


def _answer(
    finished: Finished, answers: list[Result | Refusal], memory_bytes: int
) -> dict[str, Any]:
    if answers and isinstance(answers[-1], Result):
        return answers[-1].values
    if (ended := ended_error(finished)) is not None:
        raise ended
    if finished.peak_bytes > memory_bytes or _NO_MEMORY.search(finished.stderr_tail):
        # Libraries call it damage of the file when there is no memory for the next picture.
        raise MemoryExceeded("reading the media took more memory than allowed")
    if answers and isinstance(answers[-1], Refusal):
        raise job_error_codes()[answers[-1].code](answers[-1].message)
    raise _crashed(finished)


def _crashed(finished: Finished) -> JobError:
    """A media program that died without a word met a file that its libraries cannot bear."""
    if finished.returncode < 0 and finished.returncode != -SIGKILL:  # which comes from outside
        return CorruptMedia("the media could not be read", {"signal": -finished.returncode})
    return ToolFailed("reading the media failed", {"returncode": finished.returncode})


def ended_error(finished: Finished) -> JobError | None:
    """The error that a limit of ours stands for; None when the tool ended by itself."""
    return {
        End.DEADLINE: DeadlineExceeded("the tool took longer than allowed"),
        End.STALLED: DeadlineExceeded("the tool made no progress for too long"),
        End.MEMORY: MemoryExceeded("the tool took more memory than allowed"),
        End.DISK: StorageFull("the tool wrote more than allowed"),
    }.get(finished.end)
