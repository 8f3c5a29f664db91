"""The guard by itself, as the worker talks to it: a life line, two commands and one line back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import eventually, evil, is_there, living_in, noted_pids
from worker.process.guard import ROOT, command_line


class Guard:
    """One started guard; its report is read at its end."""

    def __init__(self, folder: Path, tool: Sequence[str], **options: object) -> None:
        self.report_fd, report_end = os.pipe()
        given = {
            "parent": os.getpid(),
            "report": report_end,
            "deadline_seconds": 30,
            "grace_seconds": 0.2,
            **options,
        }
        self.process = subprocess.Popen(
            command_line([f"{name}={value}" for name, value in given.items()], tool),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            pass_fds=[report_end],
            start_new_session=True,
        )
        os.close(report_end)

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()
        os.close(self.report_fd)

    def say(self, command: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(command)
        self.process.stdin.flush()

    def drop_the_life_line(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def wait_for_line(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline()

    def report(self) -> dict[str, Any]:
        """The one line, which comes after everything below has been reaped."""
        self.process.wait(20)
        return dict(json.loads(os.read(self.report_fd, 4096)))


def test_the_report_is_one_line_with_four_facts(tmp_path: Path) -> None:
    with Guard(tmp_path, ["sh", "-c", "exit 3"]) as guard:
        report = guard.report()
        assert guard.process.returncode == 0
    assert report.keys() == {"why", "returncode", "peak_bytes", "cpu_seconds"}
    assert (report["why"], report["returncode"]) == ("exited", 3)


@pytest.mark.parametrize(("command", "why"), [(b"T", "stopped"), (b"K", "killed")])
def test_both_commands_end_the_whole_tree(tmp_path: Path, command: bytes, why: str) -> None:
    with Guard(tmp_path, evil("scatter")) as guard:
        assert guard.wait_for_line() == b"ready\n"
        guard.say(command)
        report = guard.report()
    assert (report["why"], report["returncode"]) == (why, -9)
    assert not any(map(is_there, noted_pids(tmp_path)))


def test_a_dropped_life_line_ends_the_whole_tree(tmp_path: Path) -> None:
    with Guard(tmp_path, evil("scatter")) as guard:
        assert guard.wait_for_line() == b"ready\n"
        guard.drop_the_life_line()
        assert guard.report()["why"] == "orphaned"
    assert not any(map(is_there, noted_pids(tmp_path)))


def test_a_worker_that_dies_during_the_grace_shortens_it(tmp_path: Path) -> None:
    with Guard(tmp_path, evil("tidy", 30), grace_seconds=60) as guard:
        assert guard.wait_for_line() == b"ready\n"
        guard.say(b"T")
        guard.drop_the_life_line()
        assert guard.report()["returncode"] == -9


def test_a_copied_life_line_does_not_hide_the_death_of_the_worker(tmp_path: Path) -> None:
    """The worker forks a child that keeps all its descriptors, and dies: the pipe stays open."""
    program = f"""
import os, subprocess, sys, time
sys.path.append({ROOT!r})
from worker.process.guard import command_line
reading, report = os.pipe()
given = {{"parent": os.getpid(), "report": report, "deadline_seconds": 60, "grace_seconds": 1}}
options = [f"{{name}}={{value}}" for name, value in given.items()]
guard = subprocess.Popen(
    command_line(options, sys.argv[1:]), stdin=subprocess.PIPE, pass_fds=[report]
)
if os.fork() == 0:
    time.sleep(20)
    os._exit(0)
time.sleep(60)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", program, *evil("scatter")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with worker:
        assert worker.stdout
        assert worker.stdout.readline() == b"ready\n"
        worker.kill()
        worker.wait()
        assert eventually(lambda: not any(map(is_there, noted_pids(tmp_path))))
        os.killpg(worker.pid, signal.SIGKILL)  # the child that held the copy
    assert eventually(lambda: not living_in(tmp_path))


def test_a_guard_whose_worker_died_early_starts_nothing(tmp_path: Path) -> None:
    other_pid = os.getppid()
    with Guard(tmp_path, ["touch", "started"], parent=other_pid) as guard:
        guard.process.wait(10)
        assert os.read(guard.report_fd, 100) == b""
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_everything_end_the_tool_but_not_the_guard(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A service manager signals every process of the service, the guard among them."""
    with Guard(tmp_path, ["sh", "-c", "echo ready; exec sleep 60"]) as guard:
        assert guard.wait_for_line() == b"ready\n"
        guard.process.send_signal(number)
        tools = [pid for pid in living_in(tmp_path) if pid != guard.process.pid]
        for pid in tools:
            os.kill(pid, signal.SIGTERM)
        report = guard.report()
    assert report["why"] == "exited"
    assert report["returncode"] == -signal.SIGTERM


def test_signals_that_the_worker_ignored_are_not_ignored_by_the_tool(tmp_path: Path) -> None:
    """`nohup clipmill up &` leaves SIGINT, SIGQUIT and SIGHUP ignored in the worker."""
    hardened = signal.SIGHUP, signal.SIGINT, signal.SIGQUIT
    before = [signal.signal(number, signal.SIG_IGN) for number in hardened]
    try:
        guard = Guard(tmp_path, evil("look"))
    finally:
        for number, handler in zip(hardened, before, strict=True):
            signal.signal(number, handler)
    with guard:
        seen = json.loads(guard.wait_for_line())
    sigxfsz_only = 1 << (signal.SIGXFSZ - 1)
    python_ignores = 1 << (signal.SIGPIPE - 1)  # by the Python that looks, not by us
    own = (1 << 31) - 1  # from 32 on they are the C library's, which lets nobody change them
    assert seen["ignored_signals"] & own == sigxfsz_only | python_ignores


def test_a_guard_imports_nothing_that_is_slow_to_import() -> None:
    """Each of these costs 3 to 10 ms, several times a job."""
    program = (
        f"import sys; sys.path.append({ROOT!r}); import worker.process.guard; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    slow = {"enum", "re", "json", "typing", "signal", "subprocess", "pathlib", "dataclasses"}
    assert slow.isdisjoint(done.stdout.split())
