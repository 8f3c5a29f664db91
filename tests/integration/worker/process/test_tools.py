"""The tools of an attempt may take what was reserved for it, and what they meet has a name."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tasks.errors import JobError, MemoryExceeded, TooLarge
from tasks.metrics.observer import JobObserver
from tests.support.media import Video, cached_video
from worker.process import rlimits
from worker.process.cgroups import find_groups
from worker.process.run import ProcessEnd, Stop
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program

MIB = 1024**2


def tools(folder: Path, memory_bytes: int, deadline_seconds: float = 60.0) -> ToolRunner:
    return ToolRunner(
        folder,
        Stop(),
        JobObserver("clip"),
        deadline_seconds=deadline_seconds,
        memory_bytes=memory_bytes,
    )


def cut(tools: ToolRunner, source: Path, **limits: int) -> dict[str, object]:
    """Encode two seconds with the cut program."""
    asked = {
        "source": str(source), "target": str(tools.folder / "clip.mp4"),
        "start": 0.5, "end": 2.5, "mode": "encode",
    }  # fmt: skip
    return run_program(tools, "cut", asked, tools.limits(**limits))


@pytest.fixture
def source(media_folder: Path) -> Path:
    return cached_video(media_folder, Video(width=1280, height=720))


def test_a_tool_that_takes_memory_in_one_go_is_refused_it_before_anybody_looks(
    tmp_path: Path,
) -> None:
    small = tools(tmp_path, 16 * MIB)
    greedy = "held = []\nwhile True: held.append(bytearray(2**24))"
    finished = small.run("tool", [sys.executable, "-I", "-S", "-c", greedy], small.limits())
    assert finished.end is ProcessEnd.MEMORY
    assert finished.peak_bytes < 400 * MIB
    assert small.peak_bytes == finished.peak_bytes


def test_each_tool_is_limited_and_so_is_each_of_its_children(tmp_path: Path) -> None:
    own = tools(tmp_path, 100 * MIB, deadline_seconds=20.0)
    lines: list[str] = []
    shell = "ulimit -d; ulimit -t; (ulimit -d)"
    own.run("tool", ["sh", "-c", shell], own.limits(), lines.append)
    data_kib, cpu_seconds, of_a_child = map(int, lines)
    assert data_kib * 1024 >= 2 * 100 * MIB
    assert of_a_child == data_kib
    assert 20 <= cpu_seconds <= 20 * 256


def test_two_that_run_at_once_have_a_group_each(tmp_path: Path) -> None:
    groups = find_groups()
    told: list[list[str]] = [[], []]

    def run(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        own = ToolRunner(
            folder,
            Stop(),
            JobObserver("clip"),
            deadline_seconds=20,
            memory_bytes=50 * MIB,
            groups=groups,
        )
        argv = ["sh", "-c", "grep -E ':memory:|^0::' /proc/self/cgroup"]
        own.run("tool", argv, own.limits(), told[number].append)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert all(told)
    assert (told[0] == told[1]) is (groups is None)


def test_a_program_without_memory_for_its_pictures_does_not_blame_the_file(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the libraries say of it: 60 MiB are enough to begin and not to encode."""
    monkeypatch.setattr(rlimits, "data_bytes", lambda memory_bytes, cores: 60 * MIB)
    with pytest.raises(MemoryExceeded):
        cut(tools(tmp_path, 500 * MIB), source)


def test_a_program_that_held_more_than_it_may_is_not_believed(tmp_path: Path) -> None:
    """It calls the file damaged; but it may only have lacked memory."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 100_000)
    large, small = tools(tmp_path, 200 * MIB), tools(tmp_path, 8 * MIB)
    with pytest.raises(JobError) as enough:
        run_program(large, "probe", {"source": str(broken)}, large.limits())
    assert enough.value.code in {"not_media", "corrupt_media"}
    with pytest.raises(MemoryExceeded):
        run_program(small, "probe", {"source": str(broken)}, small.limits())


def test_a_clip_that_grows_without_end_is_too_large(tmp_path: Path, source: Path) -> None:
    with pytest.raises(TooLarge):
        cut(tools(tmp_path, 500 * MIB), source, file_bytes=50_000)


def test_a_clip_within_its_bounds_is_made(tmp_path: Path, source: Path) -> None:
    own = tools(tmp_path, 500 * MIB)
    assert cut(own, source, file_bytes=50 * MIB)["frames"] == 50
    assert own.peak_bytes < 500 * MIB


def test_only_a_tool_that_met_its_limit_by_weight_is_known_to_have_met_it(tmp_path: Path) -> None:
    own = tools(tmp_path, 100 * MIB)

    def run(program: str) -> int:
        own.run("tool", [sys.executable, "-I", "-S", "-c", program], own.limits())
        return own.stopped_at_bytes

    assert run("raise MemoryError") == 0
    assert run("held = bytearray(90 * 2**20)") == 0  # it was enough
    assert run("held = bytearray(90 * 2**20); raise MemoryError") == 100 * MIB


def test_a_tool_that_was_stopped_for_its_weight_met_its_limit(tmp_path: Path) -> None:
    small = tools(tmp_path, 20 * MIB)
    leased = "held = bytearray(50 * 2**20)\nimport time; time.sleep(30)"
    finished = small.run("tool", [sys.executable, "-I", "-S", "-c", leased], small.limits())
    assert finished.end is ProcessEnd.MEMORY
    assert small.stopped_at_bytes == 20 * MIB
