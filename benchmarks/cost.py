"""The cost of an action: wall time, CPU time and peak memory of all that this process started."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import psutil

from clipmill.demo.memory import MemoryWatch

Value = TypeVar("Value")


@dataclass(frozen=True)
class Cost:
    """`peak_bytes` is the largest sum of all processes (PSS); `longest_gap_seconds` is the longest
    time between two samples of it."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    longest_gap_seconds: float


def measured(action: Callable[[], Value]) -> tuple[Value, Cost]:
    """Run the action; its result, and the cost of all descendants of this process meanwhile.

    This process itself does not count. The stack, whose processes live on, counts, and so do
    commands that have ended.
    """
    with MemoryWatch(_children) as memory:
        cpu, began = cpu_seconds(), time.monotonic()
        value = action()
        wall, cpu = time.monotonic() - began, cpu_seconds() - cpu
    return value, Cost(wall, cpu, memory.peak_bytes, memory.longest_gap_seconds)


def _children() -> Iterable[int]:
    return (child.pid for child in psutil.Process().children())


def cpu_seconds() -> float:
    """CPU time of all descendants of this process, also of those that were reaped."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = psutil.Process().children(recursive=True)
    return ended.ru_utime + ended.ru_stime + sum(map(_process_seconds, alive))


def _process_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # reaped meanwhile; its parent has its time and is read as well
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
