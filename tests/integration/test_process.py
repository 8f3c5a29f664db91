"""The supervisor with real tools, good and evil: how each end is told, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.support.processes import (
    Supervised,
    eventually,
    evil,
    is_deserted,
    is_there,
    living_in,
    noted_pids,
    open_descriptors,
)
from worker.process import End, Finished, Limits, Stop, run_process

MEGABYTE = 1024 * 1024
LIMITS = Limits(deadline_seconds=30, grace_seconds=0.3)


def run(argv: list[str], folder: Path, limits: Limits = LIMITS) -> tuple[Finished, list[str]]:
    """Run to the end without a stop; the result and the lines."""
    lines: list[str] = []
    done = run_process(argv, folder=folder, limits=limits, stop=Stop(), on_line=lines.append)
    return done, lines


def cancel_when_ready(argv: list[str], folder: Path) -> Finished:
    """Cancel from another thread after the first line."""
    stop = Stop()

    def cancel(_: str) -> None:
        threading.Timer(0.05, stop.request, [End.CANCELLED]).start()

    return run_process(argv, folder=folder, limits=LIMITS, stop=stop, on_line=cancel)


# What the caller gets


def test_lines_come_in_order_and_in_the_calling_thread(tmp_path: Path) -> None:
    threads = set()
    lines = []

    def take(line: str) -> None:
        threads.add(threading.get_ident())
        lines.append(line)

    script = "for i in 1 2 3; do echo line $i; done; printf 'no end'"
    done = run_process(
        ["sh", "-c", script], folder=tmp_path, limits=LIMITS, stop=Stop(), on_line=take
    )
    assert done.end is End.EXITED
    assert done.returncode == 0
    assert lines == ["line 1", "line 2", "line 3", "no end"]
    assert threads == {threading.get_ident()}


def test_a_failing_tool_is_told_by_its_return_code_and_last_words(tmp_path: Path) -> None:
    done, _ = run(["sh", "-c", "echo 'no such codec' >&2; exit 3"], tmp_path)
    assert (done.end, done.returncode, done.stderr_tail) == (End.EXITED, 3, "no such codec\n")


def test_a_tool_killed_by_another_hand_has_its_signal_as_a_negative_code(tmp_path: Path) -> None:
    done, _ = run(["sh", "-c", "kill -9 $$"], tmp_path)
    assert (done.end, done.returncode) == (End.EXITED, -9)


@pytest.mark.parametrize("tool", ["no-such-tool", "/etc/passwd"])
def test_a_tool_that_cannot_start_is_return_code_127_and_says_why(
    tmp_path: Path, tool: str
) -> None:
    done, _ = run([tool], tmp_path)
    assert (done.end, done.returncode) == (End.EXITED, 127)
    assert done.stderr_tail.startswith(f"cannot start '{tool}': ")


def test_a_tool_sees_only_the_environment_made_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    monkeypatch.setenv("no_proxy", "*")
    lines: list[str] = []
    run_process(
        evil("look"),
        folder=tmp_path,
        limits=LIMITS,
        stop=Stop(),
        on_line=lines.append,
        env={"http_proxy": "http://127.0.0.1:9", "LANG": "de_DE.UTF-8"},
    )
    environment = json.loads(lines[0])["environment"]
    environment.pop("LC_CTYPE", None)  # Python's own, when it coerces the locale
    assert environment.pop("PATH").split(":")[0] == str(Path(sys.executable).parent)
    assert environment == {
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": "de_DE.UTF-8",
        "http_proxy": "http://127.0.0.1:9",
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }


def test_a_tool_is_alone_in_its_session_and_inherits_nothing(tmp_path: Path) -> None:
    with Path("/dev/zero").open() as inheritable:
        inheritable_fd = inheritable.fileno()
        _, lines = run(evil("look"), tmp_path)
    seen = json.loads(lines[0])
    assert inheritable_fd > 2
    assert seen["descriptors"] == [0, 1, 2]
    assert seen["stdin"] == ""
    assert seen["session"] == seen["group"] == seen["pid"]
    assert seen["folder"] == str(tmp_path)
    assert seen["core_bytes"] == 0
    assert seen["no_new_privileges"] is True
    assert seen["oom_score_adj"] >= 500


def test_a_shell_under_the_supervisor_dies_of_a_broken_pipe_as_it_should(tmp_path: Path) -> None:
    script = "set -o pipefail; yes | head -1; echo ${PIPESTATUS[0]}"
    done, lines = run(["bash", "-c", script], tmp_path)
    assert lines == ["y", "141"]  # 128 + SIGPIPE: Python's own SIG_IGN was not handed down
    assert done.stderr_tail == ""


# Output without bounds


def test_a_flood_of_stderr_leaves_its_end_and_takes_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        done, _ = run(evil("flood_stderr", 2_000 * MEGABYTE), tmp_path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.returncode == 0
    assert len(done.stderr_tail) == 8 * 1024
    assert done.stderr_tail.endswith("xthe end")
    assert peak_bytes < MEGABYTE


def test_a_line_without_an_end_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        _, lines = run(evil("long_line", 200 * MEGABYTE), tmp_path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [len(line) for line in lines] == [64 * 1024, len("short")]
    assert lines[1] == "short"
    assert peak_bytes < MEGABYTE


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    done, lines = run(["sh", "-c", r"printf '\377a\r\n'; printf '\376' >&2"], tmp_path)
    assert lines == ["\ufffda"]
    assert done.stderr_tail == "\ufffd"


# Stopping


def test_cancel_ends_a_tree_that_hid_itself(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("scatter", 3), tmp_path)
    assert (done.end, done.returncode) == (End.CANCELLED, -9)  # it ignores TERM
    assert len(noted_pids(tmp_path)) == 4
    assert not any(map(is_there, noted_pids(tmp_path)))
    assert living_in(tmp_path) == set()


def test_a_tool_that_ends_well_takes_its_hidden_children_along(tmp_path: Path) -> None:
    done, _ = run(evil("desert", 3), tmp_path)
    assert (done.end, done.returncode) == (End.EXITED, 0)
    assert len(noted_pids(tmp_path)) == 3
    assert not any(map(is_there, noted_pids(tmp_path)))


def test_a_hydra_that_always_has_a_new_head_is_ended(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("hydra", 10), tmp_path)
    assert done.end is End.CANCELLED
    assert is_deserted(tmp_path)


def test_a_stopped_tool_may_tidy_up_within_the_grace(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("tidy", 0.1), tmp_path)
    assert (done.end, done.returncode) == (End.CANCELLED, 3)
    assert (tmp_path / "tidied").exists()


def test_tidying_longer_than_the_grace_is_cut_short(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("tidy", 20), tmp_path)
    assert (done.end, done.returncode) == (End.CANCELLED, -9)
    assert not (tmp_path / "tidied").exists()


def test_a_lost_lease_gives_no_grace(tmp_path: Path) -> None:
    stop = Stop()
    done = run_process(
        evil("tidy", 0.01),
        folder=tmp_path,
        limits=replace(LIMITS, grace_seconds=10),
        stop=stop,
        on_line=lambda line: stop.request(End.LOST),
    )
    assert (done.end, done.returncode) == (End.LOST, -9)
    assert not (tmp_path / "tidied").exists()


def test_a_tool_that_stopped_itself_is_ended(tmp_path: Path) -> None:
    done, _ = run(evil("pause"), tmp_path, replace(LIMITS, deadline_seconds=0.5))
    assert (done.end, done.returncode) == (End.DEADLINE, -9)


def test_a_stopped_job_never_starts(tmp_path: Path) -> None:
    stop = Stop()
    stop.request(End.SHUTDOWN)
    done = run_process(["touch", "started"], folder=tmp_path, limits=LIMITS, stop=stop)
    assert done.end is End.SHUTDOWN
    assert done.returncode != 0
    assert not (tmp_path / "started").exists()


def test_the_first_reason_to_stop_stays() -> None:
    stop = Stop()
    assert stop.wait(0) is None
    stop.request(End.CANCELLED)
    stop.request(End.SHUTDOWN)
    assert stop.reason is End.CANCELLED
    assert stop.wait(10) is End.CANCELLED


def test_one_stop_ends_several_processes_at_once(tmp_path: Path) -> None:
    stop = Stop()
    started = threading.Barrier(4)

    def wait_for_it() -> End:
        return run_process(
            evil("scatter", 1),
            folder=tmp_path,
            limits=LIMITS,
            stop=stop,
            on_line=lambda line: started.wait(10) and None,
        ).end

    with ThreadPoolExecutor(3) as threads:
        ends = [threads.submit(wait_for_it) for _ in range(3)]
        started.wait(10)
        stop.request(End.CANCELLED)
        assert [end.result(timeout=10) for end in ends] == [End.CANCELLED] * 3
    assert living_in(tmp_path) == set()


def test_an_exception_of_the_listener_kills_the_tool_and_comes_out(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="ready"):
        run_process(evil("scatter"), folder=tmp_path, limits=LIMITS, stop=Stop(), on_line=refuse)
    assert not any(map(is_there, noted_pids(tmp_path)))


# Limits


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
    done, lines = run(evil("chat", 5, 0.2), tmp_path, replace(LIMITS, silence_seconds=0.7))
    assert done.end is End.STALLED
    assert len(lines) == 5


def test_a_slow_listener_is_not_the_tools_silence(tmp_path: Path) -> None:
    done = run_process(
        ["sh", "-c", "echo one; echo two; sleep 0.1; echo three"],
        folder=tmp_path,
        limits=replace(LIMITS, silence_seconds=0.4),
        stop=Stop(),
        on_line=lambda line: time.sleep(0.3),
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
    done, _ = run(evil("write_file", 10 * MEGABYTE), tmp_path, limits)
    assert (done.end, done.returncode) == (End.EXITED, 1)
    assert "File too large" in done.stderr_tail
    assert (tmp_path / "large").stat().st_size == 3 * MEGABYTE


def test_a_folder_over_its_limit_ends_the_tool(tmp_path: Path) -> None:
    limits = replace(LIMITS, folder_bytes=20 * MEGABYTE)
    done, _ = run(evil("write_files"), tmp_path, limits)
    assert (done.end, done.returncode) == (End.DISK, -9)


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


# Many at once, many in a row


def test_eight_threads_at_once_keep_their_outputs_apart(tmp_path: Path) -> None:
    def count(thread: int) -> list[tuple[End, list[str]]]:
        folder = tmp_path / str(thread)
        folder.mkdir()
        script = f"for i in 1 2 3; do echo {thread} $i; done"
        results = [run(["sh", "-c", script], folder) for _ in range(5)]
        return [(done.end, lines) for done, lines in results]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(count, range(8)))
    for thread, result in enumerate(results):
        assert result == [(End.EXITED, [f"{thread} {i}" for i in (1, 2, 3)])] * 5


def test_fifty_runs_leak_no_descriptor(tmp_path: Path) -> None:
    run(["true"], tmp_path)
    before = open_descriptors()
    for number in range(50):
        if number % 10 == 0:
            cancel_when_ready(evil("scatter", 1), tmp_path)
        run([["true"], ["false"], ["no-such-tool"]][number % 3], tmp_path)
    assert open_descriptors() == before


def test_a_machine_without_descriptors_says_so_and_nothing_leaks(tmp_path: Path) -> None:
    with Supervised(tmp_path, ["true"], starved=True) as worker:
        result = worker.result()
    assert result["end"] == End.EXITED
    assert result["needed"] >= 5  # each place where it can fail was passed
    assert result["leaked"] == 0
    assert result["children"] == 0


def test_a_missing_folder_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(["true"], tmp_path / "missing")


# The tools we are made for


def test_ffmpeg_works_and_reports_its_progress(tmp_path: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"]
    target = ["-c:v", "libx264", "-progress", "pipe:1", "out.mp4"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *source, *target]
    done, lines = run(ffmpeg, tmp_path, replace(LIMITS, memory_bytes=1024 * MEGABYTE))
    assert (done.end, done.returncode) == (End.EXITED, 0)
    assert lines[-1] == "progress=end"
    assert (tmp_path / "out.mp4").stat().st_size > 1000
    assert done.cpu_seconds > 0
    assert done.peak_bytes > 20 * MEGABYTE


def test_a_cancelled_ffmpeg_ends_by_itself_within_the_grace(tmp_path: Path) -> None:
    source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]
    target = ["-c:v", "libx264", "-progress", "pipe:1", "out.mp4"]
    stop = Stop()
    done = run_process(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *source, *target],
        folder=tmp_path,
        limits=replace(LIMITS, grace_seconds=10),
        stop=stop,
        on_line=lambda line: stop.request(End.CANCELLED) if "progress=" in line else None,
    )
    assert (done.end, done.returncode) == (End.CANCELLED, 255)


def test_a_python_tool_imports_our_packages_but_nothing_from_the_jobs_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('taken over')")
    program = "import av, sys; print(av.__version__); print(len(sys.path[0]) > 0)"
    done, lines = run([sys.executable, "-c", program], tmp_path)
    assert done.returncode == 0, done.stderr_tail
    assert lines[1] == "True"


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
