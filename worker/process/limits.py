"""The values of process supervision: limits, a request to stop, and how a process ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class ProcessEnd(StrEnum):
    """Why a process ended."""

    EXITED = "exited"  # by itself; see the return code
    CANCELLED = "cancelled"  # by the client
    SHUTDOWN = "shutdown"  # the worker drains
    LOST = "lost"  # the lease was lost, or the guard died
    DEADLINE = "deadline"  # it took longer than allowed
    STALLED = "stalled"  # it printed nothing for too long
    MEMORY = "memory"  # its tree used more memory than allowed
    PROCESSES = "processes"  # its tree had more processes than allowed
    DISK = "disk"  # its folder grew larger than allowed


class Profile(StrEnum):
    """What a tool does, and so what it needs of the machine; `sandbox` says what is enforced."""

    MEDIA = "media"  # works on files of its folder, without a network
    FETCH = "fetch"  # asks a site


@dataclass(frozen=True)
class Limits:
    """What one process with all its descendants may use; None means no limit."""

    deadline_seconds: float
    silence_seconds: float | None = None  # without a line on stdout
    memory_bytes: int | None = None  # PSS of the whole tree, watched
    # RLIMIT_DATA of each process, beyond what its profile needs; shared memory passes it by
    data_bytes: int | None = None
    file_bytes: int | None = None  # of each file; the tool sees EFBIG
    folder_bytes: int | None = None  # of the folder and of deleted files held open, watched
    cpu_seconds: int | None = None  # of each process: should the deadline not be kept otherwise
    group: str | None = None  # the cgroup to make for it, which `memory_bytes` then limits as well
    grace_seconds: float = 2.0  # from TERM to KILL
    profile: Profile = Profile.MEDIA

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith(("_bytes", "cpu_seconds")) and value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, not {value}")  # never read as "no limit"


@dataclass(frozen=True)
class Finished:
    """How a process ended and what it used."""

    end: ProcessEnd
    returncode: int  # negative: the signal; 127: it could not be started, stderr_tail says why
    stderr_tail: str  # the last 8 KiB
    seconds: float
    cpu_seconds: float  # of all descendants
    peak_bytes: int  # of the whole tree


class Stop:
    """A request to end, made once and from any thread; the first reason stays."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._reason: ProcessEnd | None = None
        self._wakers: set[Callable[[], None]] = set()

    @property
    def reason(self) -> ProcessEnd | None:
        """Why the end was requested, or None."""
        return self._reason

    def request(self, reason: ProcessEnd) -> None:
        """End what runs under this stop, now, and start nothing more."""
        with self._condition:
            if self._reason is None:
                self._reason = reason
                self._condition.notify_all()
                for wake in self._wakers:
                    wake()

    def wait(self, timeout_seconds: float) -> ProcessEnd | None:
        """Sleep until the end is requested, at most so many seconds; returns the reason or None."""
        with self._condition:
            self._condition.wait_for(lambda: self._reason is not None, timeout_seconds)
            return self._reason

    @contextmanager
    def calling(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` (quick, from the requesting thread) when the end is, or was, requested."""
        with self._condition:
            self._wakers.add(wake)
            if self._reason is not None:
                wake()
        try:
            yield
        finally:
            with self._condition:
                self._wakers.discard(wake)


class Stopped(Exception):  # not an error: the end was requested
    """Raised after a process that was cancelled, drained or lost; `end` says which."""

    def __init__(self, end: ProcessEnd) -> None:
        super().__init__(end.value)
        self.end = end
