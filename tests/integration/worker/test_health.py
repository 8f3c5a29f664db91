"""`python -m worker.health` against a real store: what a container's health check sees."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.metrics.report import WorkerReport
from tasks.store import Store
from tests.support.valkey import ValkeyServer

REPORT = WorkerReport(
    id="w1",
    host=socket.gethostname(),
    seen_at=0.0,
    concurrency=4,
    running=0,
    memory_budget_bytes=1,
    memory_reserved_bytes=0,
    memory_used_bytes=0,
    disk_free_bytes=1,
)


def look(folder: Path, redis_url: str) -> subprocess.CompletedProcess[str]:
    environ = {"CLIPMILL_REDIS_URL": redis_url, "CLIPMILL_DATA_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "worker.health"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_worker_that_reports_from_this_host_is_healthy(
    valkey: ValkeyServer, store: Store, tmp_path: Path
) -> None:
    store.workers.report(replace(REPORT, seen_at=time.time()))
    seen = look(tmp_path, valkey.url)
    assert (seen.returncode, seen.stderr) == (0, "")


@pytest.mark.parametrize("wrong_by_seconds", [-3600, 3600])
def test_a_worker_whose_clock_is_wrong_is_there_all_the_same(
    store: Store, wrong_by_seconds: int
) -> None:
    store.workers.report(replace(REPORT, seen_at=time.time() + wrong_by_seconds))
    present, silent = store.workers.roll_call()
    assert ([report.id for report in present], silent) == ([REPORT.id], [])


def test_a_worker_of_another_host_does_not_make_this_one_healthy(
    valkey: ValkeyServer, store: Store, tmp_path: Path
) -> None:
    store.workers.report(replace(REPORT, host="elsewhere", seen_at=time.time()))
    seen = look(tmp_path, valkey.url)
    assert seen.returncode == 1
    assert "no worker on" in seen.stderr


def test_a_worker_that_said_good_bye_is_not_healthy(
    valkey: ValkeyServer, store: Store, tmp_path: Path
) -> None:
    store.workers.report(replace(REPORT, seen_at=time.time()))
    store.workers.forget(REPORT.id)
    assert look(tmp_path, valkey.url).returncode == 1


def test_without_a_store_nobody_is_healthy(tmp_path: Path) -> None:
    seen = look(tmp_path, f"unix://{tmp_path}/none.sock")
    assert seen.returncode == 1
    assert "does not answer" in seen.stderr


@pytest.mark.parametrize("redis_url", ["", "http://localhost"])
def test_settings_that_cannot_be_used_are_told_apart(tmp_path: Path, redis_url: str) -> None:
    seen = look(tmp_path, redis_url)
    assert seen.returncode == 2
    assert "CLIPMILL_REDIS_URL" in seen.stderr
