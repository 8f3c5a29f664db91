"""Samples the memory in a box: the peak, and how much each role uses then."""

from __future__ import annotations

from collections import Counter

import psutil

from clipmill.demo.memory import Sampler, process_bytes
from tests.support.box.group import Box
from tests.support.box.system import BoxedSystem

# Each sample reads the page tables of every process, which costs a few hundredths of a core.
SAMPLE_SECONDS = 0.25
# The first of these words that a command line contains decides the role of its process.
ROLES = {
    "worker.process.guard": "tool guards",
    "worker.pyav": "media programs",
    "yt_dlp": "yt-dlp",
    "ffmpeg": "FFmpeg",
    "web.server": "API",
    "multiprocessing": "API",
    "worker.app": "worker",
    "valkey-server": "broker",
    "stack/guard.py": "stack guard",
    "clipmill up": "supervisor",
}


class BoxWatch(Sampler):
    """`peak_bytes` is the largest sum over all processes (PSS), `split` that sum by role,
    `held_bytes` the most that the kernel could not have reclaimed."""

    def __init__(self, system: BoxedSystem, box: Box | None) -> None:
        super().__init__(SAMPLE_SECONDS)
        self.peak_bytes = 0
        self.held_bytes = 0
        self.split: Counter[str] = Counter()
        self._system = system
        self._box = box

    def look(self) -> None:
        """Measure every process of the system."""
        if self._box:
            self.held_bytes = max(self.held_bytes, self._box.held_bytes())
        split: Counter[str] = Counter()
        for process in self._system.processes():
            split[role_of(process)] += process_bytes(process)
        if split.total() > self.peak_bytes:
            self.peak_bytes, self.split = split.total(), split


def role_of(process: psutil.Process) -> str:
    """The role of a process of the system."""
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:  # the process has ended
        return "ended"
    return next((role for word, role in ROLES.items() if word in line), line[:40])
