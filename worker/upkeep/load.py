"""How busy this machine is, and the part of our tools, between one reading and the next."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

from config.machine import cpu_count
from worker.process import tree

# Tools come and go within a second, so a reading keeps a part of the earlier ones.
SMOOTHING = 0.3


@dataclass(frozen=True)
class Load:
    """Processor load, in percent of all cores."""

    cpu_percent: float = 0.0  # by all processes
    own_cpu_percent: float = 0.0  # by this process and all below it
    io_wait_percent: float = 0.0


class LoadMeter:
    """Each `read` measures the time since the one before."""

    def __init__(self) -> None:
        self._machine = psutil.cpu_times()
        self._own_seconds = _own_seconds()
        self._at = time.monotonic()
        self._load = Load()

    def read(self) -> Load:
        """The recent load, smoothed."""
        machine, own, now = psutil.cpu_times(), _own_seconds(), time.monotonic()
        whole = max(1e-3, sum(machine) - sum(self._machine))
        waited = _io_wait(machine) - _io_wait(self._machine)
        idle = machine.idle - self._machine.idle + waited
        took = max(0.0, own - self._own_seconds) / max(1e-3, now - self._at) / cpu_count()
        self._load = Load(
            _smoothed(self._load.cpu_percent, 1 - idle / whole),
            _smoothed(self._load.own_cpu_percent, took),
            _smoothed(self._load.io_wait_percent, waited / whole),
        )
        self._machine, self._own_seconds, self._at = machine, own, now
        return self._load


def tools_bytes() -> int:
    """Memory of everything below the guards, pages that tools share counted once."""
    return sum(
        tree.proportional_bytes(pid)
        for guard in tree.children(os.getpid())
        for pid in tree.descendants(guard)
    )


def _smoothed(before: float, share: float) -> float:
    percent = 100 * min(max(share, 0.0), 1.0)
    return round(SMOOTHING * before + (1 - SMOOTHING) * percent, 1)


def _io_wait(times: object) -> float:
    return float(getattr(times, "iowait", 0.0))  # only Linux reports it


def _own_seconds() -> float:
    """CPU seconds of this process, of all below it, and of those that ended and were reaped."""
    seconds = 0.0
    for pid in (os.getpid(), *tree.descendants(os.getpid())):
        try:
            seconds += sum(psutil.Process(pid).cpu_times()[:4])  # own and reaped, user and system
        except psutil.Error:
            continue  # it ended between the two readings; its parent soon counts its time
    return seconds
