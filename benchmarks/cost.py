"""What something costs: wall time, CPU time and peak memory of all that this process started."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import psutil

from clipmill.demo.memory import tree_bytes

# Each look reads the page tables of every process, which costs a few hundredths of a core.
SAMPLE_SECONDS = 0.2

Value = TypeVar("Value")


@dataclass(frozen=True)
class Cost:
    """`peak_bytes` is the largest sum of all processes (PSS); `longest_gap_seconds` says how long
    nobody looked."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    longest_gap_seconds: float


def measured(action: Callable[[], Value]) -> tuple[Value, Cost]:
    """Do it; what it gave and what all processes below this one took meanwhile, without this one.

    The stack, whose processes live on, counts as well as commands that come and go.
    """
    with MemoryPeak() as memory:
        cpu, began = cpu_seconds(), time.monotonic()
        value = action()
        wall, cpu = time.monotonic() - began, cpu_seconds() - cpu
    return value, Cost(wall, cpu, memory.peak_bytes, memory.longest_gap_seconds)


def cpu_seconds() -> float:
    """CPU time of every process below this one, ended and reaped ones included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = psutil.Process().children(recursive=True)
    return ended.ru_utime + ended.ru_stime + sum(map(_process_seconds, alive))


def _process_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # reaped meanwhile; who reaped it is read as well
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


class MemoryPeak:
    """Looks five times a second, in a thread of its own, as long as the block lasts."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.longest_gap_seconds = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me, before = psutil.Process(), time.monotonic()
        while True:
            began = time.monotonic()
            self.longest_gap_seconds = max(self.longest_gap_seconds, began - before)
            used = tree_bytes(child.pid for child in me.children())
            self.peak_bytes, before = max(self.peak_bytes, used), began
            if self._done.wait(max(0.0, began + SAMPLE_SECONDS - time.monotonic())):
                return
