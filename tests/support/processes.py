"""Runs tools under the supervisor, and looks at processes from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worker.process.run import Finished, Limits, ProcessEnd, Stop, run_process

EVIL = str(Path(__file__).with_name("evil.py"))
LIMITS = Limits(deadline_seconds=30, grace_seconds=0.3)
SUPERVISED = str(Path(__file__).with_name("supervised.py"))


def evil(way: str, *arguments: object) -> list[str]:
    """The command line of a misbehaving tool (tests/support/evil.py)."""
    return [sys.executable, "-S", EVIL, way, *map(str, arguments)]


def living_in(folder: Path) -> set[int]:
    """All processes, also guards, with this current folder; a zombie has none."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink() == folder.resolve():
                found.add(int(process.name))
        except OSError:  # the process ended, or this user may not read it
            continue
    return found


def is_deserted(folder: Path) -> bool:
    """Whether twenty looks find no process there: one look misses a process that always forks."""
    return not any(living_in(folder) for _ in range(20))


def is_there(pid: int) -> bool:
    """Whether the process exists, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def noted_pids(folder: Path) -> list[int]:
    """The pids that evil processes have written so far."""
    notes = folder / "pids"
    return [int(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def parent_of(pid: int) -> int:
    """The present parent of a process; 0 when the process has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


SELDOM_SECONDS = 0.1  # a check may be a request, and the tests beside this one need the cores


def eventually(
    holds: Callable[[], object],
    within_seconds: float = 5.0,
    every_seconds: float = 0.01,
    seldom_seconds: float = SELDOM_SECONDS,
) -> bool:
    """Whether the condition holds in time; at first it is checked often, later less often.

    A test that has to meet a short moment checks it often all the time.
    """
    until = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(every_seconds)
        every_seconds = min(1.2 * every_seconds, max(every_seconds, seldom_seconds))
    return True


class Supervised:
    """A process like the worker: it calls `run_process` and prints the result as JSON."""

    def __init__(self, folder: Path, argv: Sequence[str], **options: object) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, SUPERVISED, json.dumps(options), str(folder), *argv],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._popen.pid
        self.folder = folder

    def __enter__(self) -> Supervised:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.communicate()

    def guard(self) -> int:
        """The guard's pid: the one process in the folder that is a child of this one."""
        assert eventually(lambda: self._guards())
        return self._guards()[0]

    def _guards(self) -> list[int]:
        return [pid for pid in living_in(self.folder) if parent_of(pid) == self.pid]

    def kill(self) -> None:
        """SIGKILL, and reap it."""
        self._popen.kill()
        self._popen.wait()

    def result(self, timeout_seconds: float = 20) -> dict[str, Any]:
        """The result that the process printed at its end."""
        out, _ = self._popen.communicate(timeout=timeout_seconds)
        return dict(json.loads(out))


def open_descriptors() -> int:
    """How many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def run(argv: list[str], folder: Path, limits: Limits = LIMITS) -> tuple[Finished, list[str]]:
    """Run a command to its end; the result and the lines of its output."""
    lines: list[str] = []
    done = run_process(argv, folder=folder, limits=limits, stop=Stop(), on_line=lines.append)
    return done, lines


def cancel_when_ready(argv: list[str], folder: Path, limits: Limits = LIMITS) -> Finished:
    """Cancel from another thread after the first line."""
    stop = Stop()

    def cancel(_: str) -> None:
        threading.Timer(0.05, stop.request, [ProcessEnd.CANCELLED]).start()

    return run_process(argv, folder=folder, limits=limits, stop=stop, on_line=cancel)
