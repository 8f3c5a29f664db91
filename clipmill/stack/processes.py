"""The only file of this folder that starts processes and sends signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

GUARD = Path(__file__).with_name("guard.py")
STRAGGLERS_SECONDS = 5.0  # SIGKILL works at once, except on a process that waits for a disk


@dataclass(frozen=True)
class Command:
    """What to run, with its whole environment; `log` gets its output, None means our own output."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path | None = None
    log: Path | None = None


class Child:
    """A process that leads a group of its own, so that all its children can be ended with it."""

    def __init__(self, command: Command) -> None:
        with _log_file(command.log) as log:
            self._process = subprocess.Popen(
                list(command.argv),
                env=dict(command.environ),
                cwd=command.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at a terminal goes to the whole foreground group; the stop order is ours.
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.started_at = time.monotonic()

    def has_ended(self) -> bool:
        """Whether it ended by itself. Leaves it unreaped, so that its group's id stays taken."""
        if self._process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, options) is not None

    def ask_to_stop(self) -> None:
        """SIGTERM to the leader alone, which stops its own children."""
        if not self.has_ended():
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within this time."""
        give_up_at = time.monotonic() + seconds
        while not self.has_ended():
            if time.monotonic() >= give_up_at:
                return False
            time.sleep(0.02)
        return True

    def end(self) -> int:
        """SIGKILL what is left of the group and reap the leader; returns its exit status."""
        if self._process.returncode is None:
            _signal_group(self.pid, signal.SIGKILL)
        status = self._process.wait()
        give_up_at = time.monotonic() + STRAGGLERS_SECONDS
        while _signal_group(self.pid, 0) and time.monotonic() < give_up_at:
            time.sleep(0.01)
        return status


class Guard:
    """Ends the entered groups if this process is killed; holds the given lock until then."""

    def __init__(self, lock_fd: int) -> None:
        self._lock_fd = lock_fd
        self._groups: set[int] = set()
        self._folders: list[Path] = []
        self._process = self._begin()

    @property
    def pid(self) -> int:
        return self._process.pid

    def enter(self, child: Child) -> None:
        self._groups.add(child.pid)
        self._write(f"+{child.pid}")

    def strike_out(self, child: Child) -> None:
        self._groups.discard(child.pid)
        self._write(f"-{child.pid}")

    def remove_if_killed(self, folder: Path) -> None:
        """Have the guard remove a folder that this process removes itself unless it is killed."""
        self._folders.append(folder)
        self._write(f"={folder}")

    def close(self) -> None:
        """End all groups that are still entered, and the guard with them."""
        with suppress(BrokenPipeError):  # the guard was killed and reads nothing more
            _send(self._process, ".")
        self._reap()

    def _reap(self) -> None:
        with suppress(BrokenPipeError):  # a line that could not be written is written again here
            _stdin(self._process).close()
        self._process.wait()

    def _begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(self._lock_fd,),
            text=True,
        )

    def _write(self, line: str) -> None:
        try:
            _send(self._process, line)
        except BrokenPipeError:  # the guard was killed: its successor needs everything again
            self._reap()
            self._process = self._begin()
            for group in self._groups:
                _send(self._process, f"+{group}")
            for folder in self._folders:
                _send(self._process, f"={folder}")


def _send(process: subprocess.Popen[str], line: str) -> None:
    stdin = _stdin(process)
    stdin.write(line + "\n")
    stdin.flush()


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None, "the guard is always started with a pipe"
    return process.stdin


@dataclass(frozen=True)
class Output:
    """The exit status and the output of a tool that has ended."""

    status: int
    text: str


def run_tool(argv: Sequence[str], *, timeout_seconds: float) -> Output:
    """Run a short-lived tool. Raises OSError when it cannot be started or takes too long."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as late:
        raise TimeoutError(f"{argv[0]} took longer than {timeout_seconds:g} s") from late
    return Output(done.returncode, done.stdout)


@contextmanager
def stop_signals_interrupt() -> Iterator[None]:
    """Inside the block SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C; main thread only."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        # SIGINT as well: a shell starts background commands with it ignored
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _log_file(path: Path | None) -> Iterator[IO[bytes] | None]:
    if path is None:
        yield None
        return
    with path.open("ab") as file:
        yield file


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
