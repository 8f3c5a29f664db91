"""Every limit of a process tree against a tool that breaks it."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.box.group import MOUNT
from tests.support.needs import kernel_box, needs
from tests.support.processes import (
    LIMITS,
    Supervised,
    eventually,
    evil,
    living_in,
    noted_pids,
    run,
)
from worker.process.cgroups import Groups, find_groups
from worker.process.run import Finished, Limits, ProcessEnd, Profile, Stop, run_process
from worker.upkeep.startup import find_clean_groups, lies_in_memory

MEGABYTE = 1024 * 1024
KILLED = {"deadline_seconds": 30, "memory_bytes": 500 * MEGABYTE}


def test_the_deadline_ends_a_deaf_tool(tmp_path: Path) -> None:
    done, _ = run(evil("scatter"), tmp_path, replace(LIMITS, deadline_seconds=1))
    assert (done.end, done.returncode) == (ProcessEnd.DEADLINE, -9)
    assert 1 <= done.seconds < 9
    assert living_in(tmp_path) == set()


@pytest.mark.parametrize("deadline_seconds", [0, -5])
def test_a_deadline_that_has_passed_ends_at_once(tmp_path: Path, deadline_seconds: float) -> None:
    done, _ = run(["sleep", "60"], tmp_path, replace(LIMITS, deadline_seconds=deadline_seconds))
    assert done.end is ProcessEnd.DEADLINE


def test_no_deadline_at_all_is_possible(tmp_path: Path) -> None:
    done, _ = run(["true"], tmp_path, replace(LIMITS, deadline_seconds=float("inf")))
    assert done.end is ProcessEnd.EXITED


def test_silence_after_some_lines_is_a_stall(tmp_path: Path) -> None:
    done, lines = run(evil("chat", 5, 0.05), tmp_path, replace(LIMITS, silence_seconds=1.5))
    assert done.end is ProcessEnd.STALLED
    assert len(lines) == 5


def test_a_slow_listener_is_not_the_tools_silence(tmp_path: Path) -> None:
    done = run_process(
        ["sh", "-c", "echo one; sleep 0.1; echo two"],
        folder=tmp_path,
        limits=replace(LIMITS, silence_seconds=1),
        stop=Stop(),
        on_line=lambda line: time.sleep(1.2) if line == "one" else None,
    )
    assert done.end is ProcessEnd.EXITED


def test_a_tree_over_its_memory_is_killed_and_its_peak_is_known(tmp_path: Path) -> None:
    done, _ = run(evil("allocate", 60, 4), tmp_path, replace(LIMITS, memory_bytes=200 * MEGABYTE))
    assert (done.end, done.returncode) == (ProcessEnd.MEMORY, -9)
    assert 200 * MEGABYTE < done.peak_bytes < 320 * MEGABYTE
    assert living_in(tmp_path) == set()


def test_shared_memory_counts(tmp_path: Path) -> None:
    limits = replace(LIMITS, memory_bytes=150 * MEGABYTE, data_bytes=100 * MEGABYTE)
    done, _ = run(evil("share", 200, 1, 30), tmp_path, limits)
    assert done.end is ProcessEnd.MEMORY
    assert done.peak_bytes > 150 * MEGABYTE


def test_memory_that_a_tree_shares_counts_once(tmp_path: Path) -> None:
    limits = replace(LIMITS, memory_bytes=180 * MEGABYTE)  # below it shared pages may count twice
    done, _ = run(evil("share", 100, 4, 1.5), tmp_path, limits)
    assert done.end is ProcessEnd.EXITED
    assert 100 * MEGABYTE < done.peak_bytes < 200 * MEGABYTE


def test_the_peak_of_a_tool_too_quick_to_be_watched_is_known(tmp_path: Path) -> None:
    program = "held = bytearray(150 * 1024 * 1024)"
    done, _ = run([sys.executable, "-I", "-S", "-c", program], tmp_path)
    assert 150 * MEGABYTE < done.peak_bytes < 200 * MEGABYTE


def test_a_data_limit_is_felt_by_the_tool_itself(tmp_path: Path) -> None:
    limits = replace(LIMITS, data_bytes=100 * MEGABYTE)
    done, lines = run(evil("allocate", 200), tmp_path, limits)
    assert (done.end, done.returncode, lines) == (ProcessEnd.EXITED, 7, ["MemoryError"])


def test_processor_time_ends_a_tool_as_its_deadline_would(tmp_path: Path) -> None:
    limits = replace(LIMITS, cpu_seconds=1, deadline_seconds=300)
    done, _ = run(evil("burn", 30), tmp_path, limits)
    assert (done.end, done.returncode) == (ProcessEnd.DEADLINE, -signal.SIGXCPU)
    assert 1 <= done.cpu_seconds < 3


def test_a_tool_that_will_not_hear_of_its_processor_time_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    argv = [sys.executable, "-I", "-S", "-c", deaf]
    done, _ = run(argv, tmp_path, replace(LIMITS, cpu_seconds=1, deadline_seconds=300))
    assert (done.end, done.returncode) == (ProcessEnd.DEADLINE, -9)
    assert done.cpu_seconds < 20


def groups_for(folder: Path) -> Groups:
    """Where a worker with its files there makes memory groups; skips the test, or fails it in CI.

    Version 1 can be had by every root, and CI is root. Version 2 wants a group that was handed to
    this process, which is no matter of rights, so CI does without it as well.
    """
    groups = None if lies_in_memory(folder) else find_groups()
    if groups is None and not MOUNT.is_dir():
        pytest.skip("no memory group of version 2 was handed to this process")
    needs(groups, "no memory group can be made for files there: this needs root and a disk")
    assert groups
    return groups


def in_a_group(argv: list[str], folder: Path, memory_bytes: int) -> Finished:
    """Run a tool in a memory group."""
    limits = replace(LIMITS, memory_bytes=memory_bytes, group=groups_for(folder).next())
    return run(argv, folder, limits)[0]


def test_a_tool_that_grows_between_two_looks_is_stopped_by_its_group(tmp_path: Path) -> None:
    done = in_a_group(evil("allocate", 2000), tmp_path, 100 * MEGABYTE)
    assert done.end is ProcessEnd.MEMORY
    assert 100 * MEGABYTE <= done.peak_bytes < 200 * MEGABYTE
    assert not list(Path(groups_for(tmp_path).home).glob(f"clipmill-{os.getpid()}-*"))


def test_without_a_group_such_a_tool_is_stopped_by_the_next_look(tmp_path: Path) -> None:
    done, _ = run(evil("allocate", 2000), tmp_path, replace(LIMITS, memory_bytes=100 * MEGABYTE))
    assert done.end is ProcessEnd.MEMORY
    assert done.peak_bytes >= 100 * MEGABYTE


def test_a_child_killed_in_the_group_is_no_end_of_a_tool_that_does_without_it(
    tmp_path: Path,
) -> None:
    hungry = f"{sys.executable} -I -S -c 'bytearray(500 * 2**20)'"
    done = in_a_group(["sh", "-c", f"{hungry}; exit 0"], tmp_path, 60 * MEGABYTE)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 0)


def test_a_kill_for_a_limit_around_the_group_is_no_fault_of_the_tool(tmp_path: Path) -> None:
    with kernel_box(80 * MEGABYTE) as box:
        needs(box, "no memory group can be made to have a limit around a tool's own")
        assert box
        group = Groups(str(box.path)).next()
        limits = replace(LIMITS, memory_bytes=900 * MEGABYTE, group=group)
        done, _ = run(evil("allocate", 400), tmp_path, limits)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, -9)
    assert done.peak_bytes < 200 * MEGABYTE


def test_files_that_a_tool_reads_and_writes_do_not_fill_its_group(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(MEGABYTE))
    done = in_a_group(["cp", "large", "copy"], tmp_path, 16 * MEGABYTE)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 0)
    assert (tmp_path / "copy").stat().st_size == 200 * MEGABYTE
    assert done.seconds < 20


def test_a_new_worker_removes_the_groups_of_one_that_was_killed_with_its_guards(
    tmp_path: Path,
) -> None:
    left = Path(groups_for(tmp_path).home) / "clipmill-999999999-1-0"
    left.mkdir()
    assert find_clean_groups(tmp_path) is not None
    assert not left.exists()


def test_a_worker_whose_files_lie_in_memory_has_no_groups(tmp_path: Path) -> None:
    """A clip would count as the memory of the tool that writes it."""
    assert not lies_in_memory(Path("/proc"))
    assert lies_in_memory(Path("/dev/shm"))  # made by the kernel, nothing is written
    assert find_clean_groups(Path("/dev/shm/clipmill")) is None


def test_a_guard_that_is_killed_leaves_no_group(tmp_path: Path) -> None:
    path = groups_for(tmp_path).next()
    with Supervised(tmp_path, evil("scatter"), limits={"group": path, **KILLED}) as worker:
        guard = worker.guard()
        assert eventually(lambda: len(noted_pids(tmp_path)) == 4)
        assert Path(path).is_dir()
        os.kill(guard, signal.SIGKILL)
        assert worker.result()["end"] == ProcessEnd.LOST
    assert not Path(path).exists()


def test_a_file_stops_growing_at_its_limit_with_a_clean_error(tmp_path: Path) -> None:
    limits = replace(LIMITS, file_bytes=3 * MEGABYTE)
    done, _ = run(["dd", "if=/dev/zero", "of=large", "bs=1M", "count=10"], tmp_path, limits)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 1)
    assert "File too large" in done.stderr_tail
    assert (tmp_path / "large").stat().st_size == 3 * MEGABYTE


@pytest.mark.parametrize("way", ["write_files", "write_unlinked", "dig"])
def test_a_folder_over_its_limit_ends_the_tool(tmp_path: Path, way: str) -> None:
    done, _ = run(evil(way), tmp_path, replace(LIMITS, folder_bytes=20 * MEGABYTE))
    assert (done.end, done.returncode) == (ProcessEnd.DISK, -9)
    assert done.seconds < 20


def test_a_crowd_of_processes_is_ended(tmp_path: Path) -> None:
    done, _ = run(evil("crowd", 80), tmp_path)
    assert done.end is ProcessEnd.PROCESSES
    assert "more than 64 processes" in done.stderr_tail
    assert living_in(tmp_path) == set()


def test_what_fetches_may_hold_more_private_memory_for_its_javascript(tmp_path: Path) -> None:
    told: dict[Profile, int] = {}
    for profile in Profile:
        limits = replace(LIMITS, data_bytes=100 * MEGABYTE, profile=profile)
        lines: list[str] = []
        run_process(
            ["sh", "-c", "ulimit -d"], folder=tmp_path, limits=limits, stop=Stop(),
            on_line=lines.append,
        )  # fmt: skip
        told[profile] = int(lines[0]) * 1024
    assert told == {
        Profile.MEDIA: 100 * MEGABYTE // 1024 * 1024,
        Profile.FETCH: 100 * MEGABYTE // 1024 * 1024 + 1024**3,
    }


@pytest.mark.parametrize(
    "name", ["memory_bytes", "data_bytes", "file_bytes", "folder_bytes", "cpu_seconds"]
)
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
    assert result["end"] == ProcessEnd.DEADLINE
    assert result["children"] == 0
    assert living_in(tmp_path) == set()


def test_no_tool_makes_itself_a_real_time_process(tmp_path: Path) -> None:
    """Under root the AV1 encoder tries to, and would starve the guard and the worker."""
    program = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))"
    limits = Limits(deadline_seconds=30)
    done = run_process([sys.executable, "-c", program], folder=tmp_path, limits=limits, stop=Stop())
    assert done.returncode == 1
    assert "PermissionError" in done.stderr_tail
