"""Measures how much memory processes and all their descendants use together."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import psutil

# Each sample reads the page tables of every process, which costs a few hundredths of a core.
SAMPLE_SECONDS = 0.2


class Sampler(ABC):
    """A context manager: inside the block, a thread takes a sample every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="sampler", daemon=True)

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

    @abstractmethod
    def look(self) -> None:
        """One sample."""

    def _sample(self) -> None:
        while True:
            began = time.monotonic()
            self.look()
            if self._done.wait(max(0.0, began + self._seconds - time.monotonic())):
                return


class MemoryWatch(Sampler):
    """`peak_bytes` is the largest sample, `longest_gap_seconds` the longest time between two
    samples."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        super().__init__(SAMPLE_SECONDS)
        self.peak_bytes = 0
        self.longest_gap_seconds = 0.0
        self._pids = pids
        self._before = time.monotonic()

    def look(self) -> None:
        """Sum up the processes that run now."""
        began = time.monotonic()
        self.longest_gap_seconds = max(self.longest_gap_seconds, began - self._before)
        self.peak_bytes, self._before = max(self.peak_bytes, tree_bytes(self._pids())), began


def tree_bytes(pids: Iterable[int]) -> int:
    """The memory of these processes and all below them; shared pages count once (PSS)."""
    processes: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            root = psutil.Process(pid)
            processes |= {found.pid: found for found in (root, *root.children(recursive=True))}
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
    return sum(map(process_bytes, processes.values()))


def process_bytes(process: psutil.Process) -> int:
    """PSS where the system reports it, else RSS; 0 once the process has ended."""
    try:
        full = process.memory_full_info()
    except psutil.Error:  # ended, or its memory is not readable for us
        return 0
    return int(getattr(full, "pss", full.rss))
