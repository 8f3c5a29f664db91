"""The supervisor with real tools: what the caller gets, and that it can be called in any number."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.support.processes import (
    LIMITS,
    Supervised,
    cancel_when_ready,
    evil,
    living_in,
    open_descriptors,
    run,
)
from worker.process import run as process
from worker.process.run import ProcessEnd, Stop, run_process

MEGABYTE = 1024 * 1024


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
    assert done.end is ProcessEnd.EXITED
    assert done.returncode == 0
    assert lines == ["line 1", "line 2", "line 3", "no end"]
    assert threads == {threading.get_ident()}


def test_a_failing_tool_is_told_by_its_return_code_and_last_words(tmp_path: Path) -> None:
    done, _ = run(["sh", "-c", "echo 'no such codec' >&2; exit 3"], tmp_path)
    assert (done.end, done.returncode, done.stderr_tail) == (
        ProcessEnd.EXITED,
        3,
        "no such codec\n",
    )


def test_a_tool_killed_by_another_hand_has_its_signal_as_a_negative_code(tmp_path: Path) -> None:
    done, _ = run(["sh", "-c", "kill -9 $$"], tmp_path)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, -9)


@pytest.mark.parametrize("tool", ["no-such-tool", "/etc/passwd"])
def test_a_tool_that_cannot_start_is_return_code_127_and_says_why(
    tmp_path: Path, tool: str
) -> None:
    done, _ = run([tool], tmp_path)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 127)
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
        "SVT_LOG": "1",
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


def test_eight_threads_at_once_keep_their_outputs_apart(tmp_path: Path) -> None:
    def count(thread: int) -> list[tuple[ProcessEnd, list[str]]]:
        folder = tmp_path / str(thread)
        folder.mkdir()
        script = f"for i in 1 2 3; do echo {thread} $i; done"
        results = [run(["sh", "-c", script], folder) for _ in range(5)]
        return [(done.end, lines) for done, lines in results]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(count, range(8)))
    for thread, result in enumerate(results):
        assert result == [(ProcessEnd.EXITED, [f"{thread} {i}" for i in (1, 2, 3)])] * 5


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
    assert result["end"] == ProcessEnd.EXITED
    assert result["needed"] >= 5  # each place where it can fail was passed
    assert result["leaked"] == 0
    assert result["children"] == 0


def test_a_guard_that_cannot_be_looked_at_for_want_of_descriptors_is_ended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    start, taken = process._start, []

    def start_and_take_all_descriptors(*arguments: Any) -> subprocess.Popen[bytes]:
        popen = start(*arguments)
        report_end = arguments[-1]  # is closed next, and so is not to be of use
        resource.setrlimit(resource.RLIMIT_NOFILE, (report_end, hard))
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        return popen

    run(["true"], tmp_path)
    before = open_descriptors()
    monkeypatch.setattr(process, "_start", start_and_take_all_descriptors)
    try:
        with pytest.raises(OSError, match="Too many open files"):
            run(["sleep", "60"], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)
    assert open_descriptors() == before
    with process._guards.changing() as living:
        assert living == set()
    assert living_in(tmp_path) == set()


def test_a_missing_folder_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(["true"], tmp_path / "missing")


def test_ffmpeg_works_and_reports_its_progress(tmp_path: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"]
    target = ["-c:v", "libx264", "-progress", "pipe:1", "out.mp4"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *source, *target]
    done, lines = run(ffmpeg, tmp_path, replace(LIMITS, memory_bytes=1024 * MEGABYTE))
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 0)
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
        on_line=lambda line: stop.request(ProcessEnd.CANCELLED) if "progress=" in line else None,
    )
    assert (done.end, done.returncode) == (ProcessEnd.CANCELLED, 255)


def test_a_python_tool_imports_our_packages_but_nothing_from_the_jobs_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('taken over')")
    program = "import av, sys; print(av.__version__); print(len(sys.path[0]) > 0)"
    done, lines = run([sys.executable, "-c", program], tmp_path)
    assert done.returncode == 0, done.stderr_tail
    assert lines[1] == "True"
