"""The supervision of the stack: real processes, the real broker, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from clipmill.stack.valkey import SOCKET_NAME

PATIENCE_SECONDS = 20.0


@dataclass
class RunningStack:
    """The stand-in stack, started as a program of its own."""

    process: subprocess.Popen[str]
    folder: Path
    pids: dict[str, int]

    def all_pids(self) -> list[int]:
        return [self.process.pid, *self.pids.values()]

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    process = start_program(tmp_path)
    try:
        pids = json.loads(process.stdout.readline())
        yield RunningStack(process, tmp_path, pids)
    finally:
        process.kill()
        process.communicate()
        # The guard still works when its owner is dead; it is done when it lets the lock go.
        until(lambda: not is_locked(tmp_path / "stack.lock"))


def start_program(folder: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.support.stand_in_stack", str(folder)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_locked(path: Path) -> bool:
    import fcntl

    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command(folder: Path, *words: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(folder / SOCKET_NAME))
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(4096)


def is_running_again(stack: RunningStack, name: str) -> bool:
    """Whether the owner has a living child that was not there when the stack was ready."""
    words = {"broker": "valkey-server", "api": "ready"}[name]
    children = psutil.Process(stack.process.pid).children()
    fresh = [child for child in children if child.pid not in stack.pids.values()]
    return any(is_alive(child.pid) and words in " ".join(child.cmdline()) for child in fresh)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_in_order_and_leaves_no_process(
    stack: RunningStack, number: signal.Signals
) -> None:
    assert stack.stop(number) == 130
    assert [pid for pid in stack.all_pids() if is_alive(pid)] == []
    assert (stack.folder / "stopped").exists(), "the API was killed instead of asked"


def test_a_killed_owner_leaves_no_process_within_five_seconds(stack: RunningStack) -> None:
    stack.process.kill()
    until(lambda: not any(is_alive(pid) for pid in stack.pids.values()), seconds=5.0)
    assert (stack.folder / "stopped").exists(), "nobody asked the API to stop first"


def test_a_killed_keeper_and_a_killed_service_do_not_hurt_the_stop(stack: RunningStack) -> None:
    os.kill(stack.pids["guard"], signal.SIGKILL)
    os.kill(stack.pids["api"], signal.SIGKILL)
    until(lambda: is_running_again(stack, "api"))
    started_again = psutil.Process(stack.process.pid).children(recursive=True)
    stack.stop(signal.SIGTERM)
    assert [process for process in started_again if is_alive(process.pid)] == []


def test_a_service_that_dies_is_started_again_without_what_it_left(stack: RunningStack) -> None:
    os.kill(stack.pids["worker"], signal.SIGKILL)
    until(lambda: not is_alive(stack.pids["grandchild"]))
    until(
        lambda: int((stack.folder / "grandchild").read_text()) != stack.pids["grandchild"]
    )  # only a new worker starts a new one
    assert is_alive(stack.pids["api"])


def test_the_broker_keeps_its_data_over_a_kill_and_a_stop(stack: RunningStack) -> None:
    assert command(stack.folder, "SET", "kept", "1") == b"+OK\r\n"
    os.kill(stack.pids["broker"], signal.SIGKILL)
    until(lambda: not is_alive(stack.pids["broker"]))
    until(lambda: is_running_again(stack, "broker") and broker_answers(stack.folder))
    assert command(stack.folder, "GET", "kept") == b"$1\r\n1\r\n"
    stack.stop(signal.SIGTERM)
    again = start_program(stack.folder)
    assert again.stdout.readline()
    assert command(stack.folder, "GET", "kept") == b"$1\r\n1\r\n"
    again.terminate()
    again.communicate(timeout=PATIENCE_SECONDS)


def broker_answers(folder: Path) -> bool:
    try:
        return command(folder, "PING") == b"+PONG\r\n"
    except OSError:
        return False


def test_the_broker_has_no_port_evicts_nothing_and_is_closed_to_others(
    stack: RunningStack,
) -> None:
    listening = psutil.Process(stack.pids["broker"]).net_connections(kind="inet")
    assert listening == []
    assert b"noeviction" in command(stack.folder, "CONFIG", "GET", "maxmemory-policy")
    assert (stack.folder / SOCKET_NAME).stat().st_mode & 0o777 == 0o700


def test_a_second_stack_in_the_same_folder_is_refused_by_name(stack: RunningStack) -> None:
    second = start_program(stack.folder)
    _, errors = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1
    assert f"process {stack.process.pid}" in errors
    assert all(is_alive(pid) for pid in stack.all_pids())
