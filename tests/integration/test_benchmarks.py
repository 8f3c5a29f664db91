"""That the benchmarks run and report; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def benchmarks(*words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLIPMILL_")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT, env=kept, timeout=280, capture_output=True, text=True,
    )  # fmt: skip


PARTS = ("queue", "clips", "box")
Run = tuple[str, *tuple[dict[str, Any], ...]]  # what was printed, and the files of `PARTS`

# Half a minute on two cores that have nothing else to do.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One quick run of all parts: what it printed, and the file of each."""
    folder = tmp_path_factory.mktemp("results")
    done = benchmarks("--quick", "--results", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    files = [json.loads((folder / f"{name}.json").read_text()) for name in PARTS]
    return done.stdout, *files


def test_every_table_that_is_printed_is_in_the_files(run: Run) -> None:
    printed, *files = run
    titles = [table["title"] for file in files for table in file["tables"]]
    assert len(titles) == 8
    assert all(title in printed for title in titles)
    assert all(table["rows"] for file in files for table in file["tables"][:1])


def test_each_file_says_where_it_comes_from_and_that_it_was_quick(run: Run) -> None:
    for file in run[1:]:
        assert file["quick"] is True
        assert file["machine"]["cores"] >= 1
        assert file["machine"]["packages"]["av"]


def test_waiting_and_memory_are_measured(run: Run) -> None:
    values = run[1]["values"]
    assert values["waiting"]["seen_by_polling"]["count"] == 2
    assert values["waiting"]["seen_by_events"]["count"] == 2
    assert values["waiting"]["recorded"]["median"] >= 0
    at_first = values["idle_memory"]["at_first"]
    assert {"API", "worker", "broker", "together"} <= at_first.keys()
    assert at_first["together"]["pss_bytes"] > at_first["worker"]["pss_bytes"] > 10_000_000


def test_requests_are_measured_where_wrk_is_installed(run: Run) -> None:
    rows = {row["title"]: row for row in run[1]["values"]["requests"]}
    if shutil.which("wrk") is None:
        assert rows == {}
        assert "Left out: wrk is not on the PATH" in run[0]
        return
    for title in ("poll of a job", "health", "submission of a job"):
        assert rows[title]["per_second"] > 0
        assert rows[title]["refused"] == 0


def test_every_way_of_cutting_is_measured_and_ours_is_exact(run: Run) -> None:
    batch = run[2]["values"]["batch"]
    assert set(batch) == {"seed", "input-seek", "input-seek-parallel", "clipmill"}
    for way in batch.values():
        assert way["clips"] == 3
        assert way["wall_seconds"]["median"] > 0
        assert way["cpu_seconds"]["median"] > 0
    # At quick sizes a tool alone may begin and end between two looks at its memory.
    assert batch["clipmill"]["peak_bytes"] > 10_000_000
    assert batch["clipmill"]["faults"] == []
    assert batch["clipmill"]["more_seconds"]["from the first clip's start"]["median"] > 0


def test_the_sweeps_have_the_job_and_its_program(run: Run) -> None:
    values = run[2]["values"]
    for name in ("positions", "lengths"):
        assert len(values[name]) == 2
        for point in values[name].values():
            assert point["job"]["exact_clips"] == point["program"]["exact_clips"] == 1


def test_the_small_box_and_the_large_one_are_measured(run: Run) -> None:
    values = run[3]["values"]
    assert set(values["rounds"]) == {"512 MiB", "4 GiB"}
    assert values["throughput"] > 0
    for found in values["rounds"].values():
        (only,) = found["rounds"]
        assert only["wall_seconds"] > 0
        assert only["peak_bytes"] > 100_000_000
        assert only["killed"] == 0
        assert (only["kernel_peak_bytes"] > 100_000_000) is only["boxed"]


def test_an_unknown_part_is_refused() -> None:
    done = benchmarks("colours")
    assert done.returncode == 2
    assert "queue" in done.stderr
