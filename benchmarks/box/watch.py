"""Looks again and again at what runs in a box: the most that is held, and who holds it then."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

from benchmarks.box.group import Box
from benchmarks.box.system import BoxedSystem
from clipmill.demo.memory import process_bytes

# Each look reads the page tables of every process, which costs a few hundredths of a core.
SAMPLE_SECONDS = 0.25
# The first word that is found in a command line says what the process is.
ROLES = {
    "worker.guard": "guards",
    "worker.media": "media programs",
    "yt_dlp": "yt-dlp",
    "ffmpeg": "FFmpeg",
    "web.server": "API",
    "multiprocessing": "API",
    "worker.app": "worker",
    "valkey-server": "broker",
    "keeper.py": "keeper",
    "clipmill up": "supervisor",
}


@dataclass
class BoxWatch:
    """A context manager. `peak_bytes` is the largest sum over all processes (PSS), `split` how it
    was shared out, `held_bytes` the most that the kernel could not have taken back."""

    system: BoxedSystem
    box: Box | None
    peak_bytes: int = 0
    held_bytes: int = 0
    split: Counter[str] = field(default_factory=Counter)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="box", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            if self.box:
                self.held_bytes = max(self.held_bytes, self.box.held_bytes())
            split: Counter[str] = Counter()
            for process in self.system.processes():
                split[role_of(process)] += process_bytes(process)
            if split.total() > self.peak_bytes:
                self.peak_bytes, self.split = split.total(), split


def role_of(process: psutil.Process) -> str:
    """What a process of the system is."""
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return "ended"
    return next((role for word, role in ROLES.items() if word in line), line[:40])
