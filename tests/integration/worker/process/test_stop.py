"""Ending a process tree on request: quickly, wholly, with the reason in the result."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.processes import (
    LIMITS,
    cancel_when_ready,
    evil,
    is_deserted,
    is_there,
    living_in,
    noted_pids,
    run,
)
from worker.process.run import ProcessEnd, Stop, run_process


def test_cancel_ends_a_tree_that_hid_itself(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("scatter", 3), tmp_path)
    assert (done.end, done.returncode) == (ProcessEnd.CANCELLED, -9)  # it ignores TERM
    assert len(noted_pids(tmp_path)) == 4
    assert not any(map(is_there, noted_pids(tmp_path)))
    assert living_in(tmp_path) == set()


def test_a_tool_that_ends_well_takes_its_hidden_children_along(tmp_path: Path) -> None:
    done, _ = run(evil("desert", 3), tmp_path)
    assert (done.end, done.returncode) == (ProcessEnd.EXITED, 0)
    assert len(noted_pids(tmp_path)) == 3
    assert not any(map(is_there, noted_pids(tmp_path)))


@pytest.mark.alone
def test_a_hydra_that_always_has_a_new_head_is_ended(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("hydra"), tmp_path)
    assert done.end is ProcessEnd.CANCELLED
    assert is_deserted(tmp_path)


def test_a_stopped_tool_may_tidy_up_within_the_grace(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("tidy", 0.1), tmp_path, replace(LIMITS, grace_seconds=10))
    assert (done.end, done.returncode) == (ProcessEnd.CANCELLED, 3)
    assert (tmp_path / "tidied").exists()


def test_tidying_longer_than_the_grace_is_cut_short(tmp_path: Path) -> None:
    done = cancel_when_ready(evil("tidy", 20), tmp_path)
    assert (done.end, done.returncode) == (ProcessEnd.CANCELLED, -9)
    assert not (tmp_path / "tidied").exists()


def test_a_lost_lease_gives_no_grace(tmp_path: Path) -> None:
    stop = Stop()
    done = run_process(
        evil("tidy", 0.01),
        folder=tmp_path,
        limits=replace(LIMITS, grace_seconds=10),
        stop=stop,
        on_line=lambda line: stop.request(ProcessEnd.LOST),
    )
    assert (done.end, done.returncode) == (ProcessEnd.LOST, -9)
    assert not (tmp_path / "tidied").exists()


def test_a_tool_that_stopped_itself_is_ended(tmp_path: Path) -> None:
    done, _ = run(evil("pause"), tmp_path, replace(LIMITS, deadline_seconds=0.5))
    assert (done.end, done.returncode) == (ProcessEnd.DEADLINE, -9)


def test_a_stopped_job_never_starts(tmp_path: Path) -> None:
    stop = Stop()
    stop.request(ProcessEnd.SHUTDOWN)
    done = run_process(["touch", "started"], folder=tmp_path, limits=LIMITS, stop=stop)
    assert done.end is ProcessEnd.SHUTDOWN
    assert done.returncode != 0
    assert not (tmp_path / "started").exists()


def test_the_first_reason_to_stop_stays() -> None:
    stop = Stop()
    assert stop.wait(0) is None
    stop.request(ProcessEnd.CANCELLED)
    stop.request(ProcessEnd.SHUTDOWN)
    assert stop.reason is ProcessEnd.CANCELLED
    assert stop.wait(10) is ProcessEnd.CANCELLED


def test_one_stop_ends_several_processes_at_once(tmp_path: Path) -> None:
    stop = Stop()
    started = threading.Barrier(4)

    def wait_for_it() -> ProcessEnd:
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
        stop.request(ProcessEnd.CANCELLED)
        assert [end.result(timeout=10) for end in ends] == [ProcessEnd.CANCELLED] * 3
    assert living_in(tmp_path) == set()


def test_an_exception_of_the_listener_kills_the_tool_and_comes_out(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="ready"):
        run_process(evil("scatter"), folder=tmp_path, limits=LIMITS, stop=Stop(), on_line=refuse)
    assert not any(map(is_there, noted_pids(tmp_path)))
