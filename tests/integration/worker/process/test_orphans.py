"""Whatever is killed, guard or worker or both, no process of a job outlives it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.processes import (
    Supervised,
    eventually,
    evil,
    is_deserted,
    is_there,
    living_in,
    noted_pids,
)
from worker.process.run import ProcessEnd
from worker.upkeep.startup import sweep_leftovers


def scattered(folder: Path, way: str = "scatter") -> bool:
    """Whether the evil tool has hidden all its children and itself is deaf."""
    return len(noted_pids(folder)) == {"scatter": 4, "hydra": 1}[way]


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    """The folder of one job, below the work folder `tmp_path`."""
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("way", ["scatter", pytest.param("hydra", marks=pytest.mark.alone)])
def test_a_killed_worker_leaves_no_process(job_folder: Path, way: str) -> None:
    with Supervised(job_folder, evil(way)) as worker:
        worker.guard()
        assert eventually(lambda: scattered(job_folder, way))
        worker.kill()
        assert eventually(lambda: is_deserted(job_folder), within_seconds=5)
    assert not any(map(is_there, noted_pids(job_folder)))


@pytest.mark.parametrize("way", ["scatter", pytest.param("hydra", marks=pytest.mark.alone)])
def test_a_killed_guard_is_a_lost_process_and_leaves_nothing(job_folder: Path, way: str) -> None:
    with Supervised(job_folder, evil(way)) as worker:
        guard = worker.guard()
        assert eventually(lambda: scattered(job_folder, way))
        os.kill(guard, signal.SIGKILL)
        result = worker.result()
    assert (result["end"], result["returncode"]) == (ProcessEnd.LOST, -9)
    assert result["children"] == 0  # reaped, not only killed
    assert result["leaked"] == 0
    assert is_deserted(job_folder)


def test_sweeping_after_a_dead_guard_spares_what_the_worker_runs_for_itself(
    job_folder: Path,
) -> None:
    with Supervised(job_folder, evil("scatter"), companion_after=0) as worker:
        # The companion is a child of the worker in another folder, and older than the guard.
        guard = worker.guard()
        assert eventually(lambda: scattered(job_folder))
        os.kill(guard, signal.SIGKILL)
        result = worker.result()
    assert result["end"] == ProcessEnd.LOST
    assert result["companion_lives"] is True


def test_a_dead_guard_does_not_disturb_the_jobs_beside_it(job_folder: Path) -> None:
    beside = job_folder.with_name("beside")
    beside.mkdir()
    with Supervised(job_folder, evil("scatter"), beside=str(beside)) as worker:
        guard = worker.guard()
        assert eventually(lambda: scattered(job_folder))
        assert eventually(lambda: living_in(beside))
        os.kill(guard, signal.SIGKILL)
        result = worker.result()
    assert result["end"] == ProcessEnd.LOST
    assert result["beside"] == {"end": ProcessEnd.EXITED, "returncode": 0}
    assert (beside / "done").exists()


def test_a_worker_that_is_no_subreaper_still_ends_the_tool_itself(job_folder: Path) -> None:
    sleep = ["sleep", "60"]
    with Supervised(job_folder, sleep, subreaper=False, companion_after=0.5) as worker:
        guard = worker.guard()
        assert eventually(lambda: len(living_in(job_folder)) == 2)
        time.sleep(0.7)
        os.kill(guard, signal.SIGKILL)
        result = worker.result()
    assert result["end"] == ProcessEnd.LOST
    assert result["companion_lives"] is True  # no orphan can be among its children
    assert eventually(lambda: not living_in(job_folder))


def test_a_survivor_that_still_talks_does_not_hold_up_the_result(job_folder: Path) -> None:
    with Supervised(job_folder, evil("babble"), subreaper=False) as worker:
        guard = worker.guard()
        assert eventually(lambda: noted_pids(job_folder))
        os.kill(guard, signal.SIGKILL)
        try:
            assert worker.result()["end"] == ProcessEnd.LOST
        finally:
            for survivor in noted_pids(job_folder):  # nobody was its subreaper
                with suppress(ProcessLookupError):  # its pipe had no reader
                    os.kill(survivor, signal.SIGKILL)


def test_what_survived_both_is_found_at_the_next_start(job_folder: Path) -> None:
    with Supervised(job_folder, evil("scatter")) as worker:
        guard = worker.guard()
        assert eventually(lambda: scattered(job_folder))
        os.kill(worker.pid, signal.SIGSTOP)
        os.kill(guard, signal.SIGSTOP)
        os.kill(guard, signal.SIGKILL)
        worker.kill()
    assert eventually(lambda: len(living_in(job_folder)) == 3)  # the gap that this sweep is for
    assert sweep_leftovers(job_folder.parent) == 3
    assert eventually(lambda: is_deserted(job_folder))


def test_a_guard_that_hangs_without_its_worker_is_ended_with_its_tool(job_folder: Path) -> None:
    with Supervised(job_folder, evil("scatter")) as worker:
        guard = worker.guard()
        assert eventually(lambda: scattered(job_folder))
        os.kill(guard, signal.SIGSTOP)
        worker.kill()
    assert len(living_in(job_folder)) == 5
    sweep_leftovers(job_folder.parent)
    assert eventually(lambda: is_deserted(job_folder))


def test_a_leftover_that_moved_away_is_known_by_its_home_or_its_open_files(
    job_folder: Path,
) -> None:
    with (job_folder / "open").open("w") as file:
        by_file = subprocess.Popen(["sleep", "60"], stdout=file, env={}, start_new_session=True)
    home = {"HOME": str(job_folder)}
    by_home = subprocess.Popen(["sleep", "60"], cwd="/", env=home, start_new_session=True)
    with by_file, by_home:
        assert sweep_leftovers(job_folder.parent) == 2
        assert by_file.wait(5) == by_home.wait(5) == -signal.SIGKILL


@contextmanager
def leased(worker_folder: Path) -> Iterator[int]:
    """A worker folder as its worker holds it; the lock belongs to whoever has the descriptor."""
    descriptor = os.open(worker_folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_sweep_spares_the_running_jobs_of_another_worker(job_folder: Path) -> None:
    with leased(job_folder), Supervised(job_folder, evil("scatter")) as worker:
        assert eventually(lambda: scattered(job_folder))
        assert sweep_leftovers(job_folder.parent) == 0
        assert len(living_in(job_folder)) == 5
        worker.kill()
        assert eventually(lambda: not living_in(job_folder))


def test_a_sweep_spares_strangers(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True) as elsewhere:
        assert sweep_leftovers(tmp_path) == 0
        assert elsewhere.poll() is None
        elsewhere.kill()


def test_who_holds_the_lock_on_its_folder_is_a_living_worker_whatever_its_binary(
    tmp_path: Path,
) -> None:
    """As after an upgrade, when the interpreter that it runs is no more at its place."""
    own, dead = tmp_path / "host-1-abc", tmp_path / "dead"
    for folder in (own, dead):
        folder.mkdir()
    # (and it sweeps, too, so that it has a dead worker's folder open)
    with leased(own) as lock, (dead / "left").open("w") as left:
        worker = subprocess.Popen(["sleep", "60"], stdout=left, pass_fds=[lock])
    tool = subprocess.Popen(["sleep", "60"], cwd=own, start_new_session=True)
    with worker, tool:
        assert sweep_leftovers(tmp_path) == 0
        assert (worker.poll(), tool.poll()) == (None, None)
        worker.kill()
        worker.wait(5)
        assert sweep_leftovers(tmp_path) == 1
        assert tool.wait(5) == -signal.SIGKILL


def test_a_sweep_spares_a_person_at_a_terminal(job_folder: Path) -> None:
    person, terminal = pty.fork()
    if person == 0:
        os.chdir(job_folder)
        os.execvp("sleep", ["sleep", "60"])
    try:
        assert eventually(lambda: person in living_in(job_folder))
        assert sweep_leftovers(job_folder.parent) == 0
        assert person in living_in(job_folder)
    finally:
        os.kill(person, signal.SIGKILL)
        os.waitpid(person, 0)
        os.close(terminal)


def test_a_sweep_of_a_folder_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert sweep_leftovers(tmp_path / "never") == 0
