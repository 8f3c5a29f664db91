"""The one place that starts processes: a deadline, limits, bounded output, and nothing left behind.

`run_process` starts a guard (guard.py), the guard starts the tool. The guard's stdin is the life
line: when this process dies, however it dies, the guard kills the tool and all below it.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from worker.process import cgroups, orphans, tree
from worker.process.environment import environment
from worker.process.guard import command_line
from worker.process.limits import Finished, Limits, ProcessEnd, Profile, Stop, Stopped
from worker.process.output import Lines, Tail
from worker.process.tool_tree import MAX_PROCESSES

__all__ = ["Finished", "Limits", "ProcessEnd", "Profile", "Stop", "Stopped", "run_process"]

CHUNK_BYTES = 64 * 1024
PIPE_BYTES = 1024 * 1024  # the most that a pipe holds
MARGIN_SECONDS = 5.0  # after grace: what the guard may take to kill, before it is killed itself

NEVER = sys.maxsize  # a clock tick: nothing is younger, so nothing is an orphan

TOO_MANY = f"ended: more than {MAX_PROCESSES} processes\n"

_WHY = {
    "exited": ProcessEnd.EXITED,
    "deadline": ProcessEnd.DEADLINE,
    "memory": ProcessEnd.MEMORY,
    "processes": ProcessEnd.PROCESSES,
    "disk": ProcessEnd.DISK,
}


def run_process(
    argv: Sequence[str],
    *,
    folder: Path,
    limits: Limits,
    stop: Stop,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a tool in `folder` until it and all its descendants have ended; returns how it ended.

    Lines of stdout, cut at 64 KiB, go to `on_line` in the calling thread; an error of `on_line`
    kills the tool and is raised here. The tool sees `env` over a small environment made from
    scratch, and nothing of ours. A tool that ended before a stop reached it has EXITED.
    Never raises for what the tool did: a missing tool is return code 127.
    Raises OSError when this machine can start nothing at all (processes, descriptors, memory).
    """
    if stop.reason is not None:
        return Finished(stop.reason, -tree.SIGTERM, "", 0.0, 0.0, 0)
    started = time.monotonic()
    with _GuardProcess(argv, folder.resolve(), limits, env or {}) as guard:
        follower = _Follower(guard, limits, stop, on_line or (lambda line: None))
        with stop.calling(guard.wake):
            follower.follow()
    return follower.finished(time.monotonic() - started)


_guards = orphans.LivingGuards()  # one for the process, because its children belong to the process


@contextmanager
def not_orphans() -> Iterator[set[int]]:
    """The processes that no sweep takes for orphans, to add one that the worker needs itself."""
    with _guards.changing() as living:
        yield living


class _GuardProcess:
    """A started guard and its descriptors; leaving the block ends it and everything below."""

    def __init__(
        self, argv: Sequence[str], folder: Path, limits: Limits, env: Mapping[str, str]
    ) -> None:
        self._group = limits.group
        self._since = NEVER
        with ExitStack() as opened:  # everything is closed again where a part fails
            self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            opened.callback(os.close, self.wake_fd)
            self.report_fd, report_end = os.pipe()
            opened.callback(os.close, self.report_fd)
            try:
                self._popen = _start(argv, folder, limits, env, report_end)
            finally:
                os.close(report_end)  # only the guard has it now: end of file means the guard died
            pipes = (self._popen.stdin, self._popen.stdout, self._popen.stderr)
            self._life_line, self.stdout, self.stderr = map(_opened, pipes)
            for pipe in (self.stdout, self.stderr):
                opened.callback(pipe.close)
            opened.callback(self.bury)
            self._since = tree.started_at(self._popen.pid) or 0
            self._opened = opened.pop_all()

    def __enter__(self) -> _GuardProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def wake(self) -> None:
        """Make the thread that follows the guard check its stop."""
        os.eventfd_write(self.wake_fd, 1)

    def send(self, command: bytes) -> None:
        """`T` or `K`; a guard that has died needs no command."""
        with suppress(BrokenPipeError):
            self._life_line.write(command)

    def kill(self) -> None:
        """Kill the guard itself, when it does not answer."""
        self._popen.kill()

    def bury(self) -> None:
        """Drop the life line, reap the guard, and end what it may have left."""
        self._life_line.close()
        if not self._ends_within(MARGIN_SECONDS):
            self._popen.kill()
        with _guards.changing() as living:
            self._popen.wait()
            living.discard(self._popen.pid)
        if self._popen.returncode != 0:
            orphans.kill_orphans(_guards, self._since)
            cgroups.remove(self._group or "")

    def _ends_within(self, seconds: float) -> bool:
        with selectors.PollSelector() as ready:
            ready.register(self.report_fd, selectors.EVENT_READ)
            until = time.monotonic() + seconds
            while ready.select(max(0.0, until - time.monotonic())):
                if not _read(self.report_fd):
                    return True
        return False


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # PIPE was asked for
    return pipe


def _start(
    argv: Sequence[str], folder: Path, limits: Limits, env: Mapping[str, str], report_fd: int
) -> subprocess.Popen[bytes]:
    with _guards.changing() as living:
        popen = subprocess.Popen(
            command_line(_options(limits, report_fd), argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=folder,
            env=environment(folder, env),
            start_new_session=True,
            pass_fds=[report_fd],
        )
        living.add(popen.pid)
    return popen


def _options(limits: Limits, report_fd: int) -> list[str]:
    values: dict[str, float | str | None] = {
        "parent": os.getpid(),
        "report": report_fd,
        "deadline_seconds": limits.deadline_seconds,
        "grace_seconds": limits.grace_seconds,
        "memory_bytes": limits.memory_bytes,
        "data_bytes": limits.data_bytes,
        "file_bytes": limits.file_bytes,
        "folder_bytes": limits.folder_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "group": limits.group,
        "profile": limits.profile.value,
    }
    return [f"{name}={value}" for name, value in values.items() if value is not None]


class _Follower:
    """Follows one guard from start to end, in the calling thread."""

    def __init__(
        self, guard: _GuardProcess, limits: Limits, stop: Stop, on_line: Callable[[str], None]
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._stop = stop
        self._on_line = on_line
        self._lines = Lines()
        self._tail = Tail()
        self._report = bytearray()
        self._asked: ProcessEnd | None = None
        self._over = False
        now = time.monotonic()
        self._last_line = now
        self._give_up = now + limits.deadline_seconds + limits.grace_seconds + MARGIN_SECONDS

    def follow(self) -> None:
        """Return when the guard has reported or died and all output was read."""
        guard = self._guard
        with selectors.PollSelector() as ready:
            for fd, react in (
                (guard.stdout.fileno(), self._on_stdout),
                (guard.stderr.fileno(), self._on_stderr),
                (guard.report_fd, self._on_report),
                (guard.wake_fd, self._on_wake),
            ):
                ready.register(fd, selectors.EVENT_READ, react)
            while not self._over:
                for key, _ in ready.select(self._patience_seconds()):
                    if not key.data():
                        ready.unregister(key.fd)
                self._check_clock()
        guard.bury()
        self._drain()

    def finished(self, seconds: float) -> Finished:
        """The result, after `follow`."""
        report = json.loads(self._report) if self._report.endswith(b"\n") else {}
        why = report.get("why", "lost")
        return Finished(
            end=_WHY.get(why) or self._asked or ProcessEnd.LOST,
            returncode=report.get("returncode", -tree.SIGKILL),
            stderr_tail=self._tail.text() + (TOO_MANY if why == "processes" else ""),
            seconds=seconds,
            cpu_seconds=report.get("cpu_seconds", 0.0),
            peak_bytes=report.get("peak_bytes", 0),
        )

    def _on_stdout(self) -> bool:
        chunk = _read(self._guard.stdout.fileno())
        for line in self._lines.feed(chunk) if chunk else self._lines.rest():
            self._on_line(line)
            self._last_line = time.monotonic()  # the time of `on_line` is not the tool's silence
        return bool(chunk)

    def _on_stderr(self) -> bool:
        chunk = _read(self._guard.stderr.fileno())
        self._tail.feed(chunk)
        return bool(chunk)

    def _on_report(self) -> bool:
        chunk = _read(self._guard.report_fd)
        self._report += chunk
        self._over = not chunk
        return bool(chunk)

    def _on_wake(self) -> bool:
        os.eventfd_read(self._guard.wake_fd)
        if self._stop.reason is not None:
            self._ask(self._stop.reason)
        return True

    def _ask(self, end: ProcessEnd) -> None:
        """Ask the guard to end the tool, once; after a lost lease the tool gets no grace."""
        if self._asked is None:
            self._asked = end
            self._guard.send(b"K" if end is ProcessEnd.LOST else b"T")
            soon = time.monotonic() + self._limits.grace_seconds + MARGIN_SECONDS
            self._give_up = min(self._give_up, soon)

    def _silence_ends(self) -> float:
        silence = self._limits.silence_seconds
        return self._last_line + silence if silence and not self._asked else float("inf")

    def _patience_seconds(self) -> float:
        now = time.monotonic()
        return max(0.0, min(self._silence_ends(), self._give_up, now + 60) - now)

    def _check_clock(self) -> None:
        now = time.monotonic()
        if now >= self._silence_ends():
            self._ask(ProcessEnd.STALLED)
        if now >= self._give_up:
            self._asked = self._asked or ProcessEnd.DEADLINE
            self._guard.kill()

    def _drain(self) -> None:
        """Read what is left in the pipes, without waiting for processes that still hold them."""
        for pipe, react in (
            (self._guard.stderr, self._on_stderr),
            (self._guard.stdout, self._on_stdout),
        ):
            with selectors.PollSelector() as ready:
                ready.register(pipe, selectors.EVENT_READ)
                for _ in range(PIPE_BYTES // CHUNK_BYTES + 1):
                    if not ready.select(0) or not react():
                        break


def _read(fd: int) -> bytes:
    """A chunk, empty at the end of file; only called when there is one of the two."""
    return os.read(fd, CHUNK_BYTES)
