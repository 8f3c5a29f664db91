"""Every limit of a process tree against a tool that breaks it."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.processes import (
    LIMITS,
    Supervised,
    eventually,
    evil,
    living_in,
    noted_pids,
    run,
)
from worker.process import End, Limits, Stop, run_process

MEGABYTE = 1024 * 1024


def test_the_deadline_ends_a_deaf_tool(tmp_path: Path) -> None:
    done, _ = run(evil("scatter"), tmp_path, replace(LIMITS, deadline_seconds=1))
    assert (done.end, done.returncode) == (End.DEADLINE, -9)
    assert 1 <= done.seconds < 9
    assert living_in(tmp_path) == set()


@pytest.mark.parametrize("deadline_seconds", [0, -5])
def test_a_deadline_that_has_passed_ends_at_once(tmp_path: Path, deadline_seconds: float) -> None:
    done, _ = run(["sleep", "60"], tmp_path, replace(LIMITS, deadline_seconds=deadline_seconds))
    assert done.end is End.DEADLINE


def test_no_deadline_at_all_is_possible(tmp_path: Path) -> None:
    done, _ = run(["true"], tmp_path, replace(LIMITS, deadline_seconds=float("inf")))
    assert done.end is End.EXITED


def test_silence_after_some_lines_is_a_stall(tmp_path: Path) -> None:
    done, lines = run(evil("chat", 5, 0.05), tmp_path, replace(LIMITS, silence_seconds=1.5))
    assert done.end is End.STALLED
    assert len(lines) == 5


def test_a_slow_listener_is_not_the_tools_silence(tmp_path: Path) -> None:
    done = run_process(
        ["sh", "-c", "echo one; sleep 0.1; echo two"],
        folder=tmp_path,
        limits=replace(LIMITS, silence_seconds=1),
        stop=Stop(),
        on_line=lambda line: time.sleep(1.2) if line == "one" else None,
    )
    assert done.end is End.EXITED


def test_a_tree_over_its_memory_is_killed_and_its_peak_is_known(tmp_path: Path) -> None:
    done, _ = run(evil("allocate", 60, 4), tmp_path, replace(LIMITS, memory_bytes=200 * MEGABYTE))
    assert (done.end, done.returncode) == (End.MEMORY, -9)
    assert 200 * MEGABYTE < done.peak_bytes < 320 * MEGABYTE
    assert living_in(tmp_path) == set()


def test_shared_memory_counts(tmp_path: Path) -> None:
    limits = replace(LIMITS, memory_bytes=150 * MEGABYTE, data_bytes=100 * MEGABYTE)
    done, _ = run(evil("share", 200, 1, 30), tmp_path, limits)
    assert done.end is End.MEMORY
    assert done.peak_bytes > 150 * MEGABYTE


def test_memory_that_a_tree_shares_counts_once(tmp_path: Path) -> None:
    limits = replace(LIMITS, memory_bytes=250 * MEGABYTE)
    done, _ = run(evil("share", 100, 4, 1.5), tmp_path, limits)
    assert done.end is End.EXITED
    assert 100 * MEGABYTE < done.peak_bytes < 200 * MEGABYTE


def test_the_peak_of_a_tool_too_quick_to_be_watched_is_known(tmp_path: Path) -> None:
    program = "held = bytearray(150 * 1024 * 1024)"
    done, _ = run([sys.executable, "-I", "-S", "-c", program], tmp_path)
    assert 150 * MEGABYTE < done.peak_bytes < 200 * MEGABYTE


def test_a_data_limit_is_felt_by_the_tool_itself(tmp_path: Path) -> None:
    limits = replace(LIMITS, data_bytes=100 * MEGABYTE)
    done, lines = run(evil("allocate", 200), tmp_path, limits)
    assert (done.end, done.returncode, lines) == (End.EXITED, 7, ["MemoryError"])


def test_a_file_stops_growing_at_its_limit_with_a_clean_error(tmp_path: Path) -> None:
    limits = replace(LIMITS, file_bytes=3 * MEGABYTE)
    done, _ = run(["dd", "if=/dev/zero", "of=large", "bs=1M", "count=10"], tmp_path, limits)
    assert (done.end, done.returncode) == (End.EXITED, 1)
    assert "File too large" in done.stderr_tail
    assert (tmp_path / "large").stat().st_size == 3 * MEGABYTE


@pytest.mark.parametrize("way", ["write_files", "write_unlinked", "dig"])
def test_a_folder_over_its_limit_ends_the_tool(tmp_path: Path, way: str) -> None:
    done, _ = run(evil(way), tmp_path, replace(LIMITS, folder_bytes=20 * MEGABYTE))
    assert (done.end, done.returncode) == (End.DISK, -9)
    assert done.seconds < 20


def test_a_crowd_of_processes_is_ended(tmp_path: Path) -> None:
    done, _ = run(evil("crowd", 80), tmp_path)
    assert done.end is End.MEMORY
    assert "more than 64 processes" in done.stderr_tail
    assert living_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["memory_bytes", "data_bytes", "file_bytes", "folder_bytes"])
def test_a_limit_of_nothing_is_refused_rather_than_read_as_none(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(deadline_seconds=1, **{name: 0})  # type: ignore[arg-type]


def test_processor_time_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    done, lines = run(evil("burn", 0.4), tmp_path)
    assert lines == ["burnt"]
    assert 0.4 <= done.cpu_seconds < 1.5


def test_a_guard_that_does_not_answer_is_ended_too(tmp_path: Path) -> None:
    """Somebody stops the guard with SIGSTOP: the worker keeps the deadline by itself."""
    limits = {"deadline_seconds": 1, "grace_seconds": 0.1}
    with Supervised(tmp_path, evil("scatter"), limits=limits) as worker:
        guard = worker.guard()
        assert eventually(lambda: len(noted_pids(tmp_path)) == 4)
        os.kill(guard, signal.SIGSTOP)
        result = worker.result()
    assert result["end"] == End.DEADLINE
    assert result["children"] == 0
    assert living_in(tmp_path) == set()
