"""`clipmill calibrate` as a command, and a worker that meets what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import eventually
from tests.support.valkey import ValkeyServer
from worker.memory.table import FILE_NAME


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLIPMILL_")}
    return kept | {"CLIPMILL_DATA_DIR": str(folder)} | settings


def working_on(folder: Path) -> list[bytes]:
    """The command lines that name something in this folder."""
    lines = []
    for process in Path("/proc").iterdir():
        try:
            lines.append((process / "cmdline").read_bytes() if process.name.isdigit() else b"")
        except OSError:  # it ended while we looked
            continue
    return [line for line in lines if str(folder).encode() in line]


def test_an_interrupted_calibration_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "clipmill", "calibrate"],
        env=environment(tmp_path), stdout=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        try:
            assert command.stdout.readline().startswith("1/")  # it runs: the next has begun
            command.send_signal(signal.SIGINT)
            assert command.wait(20) == 130
        finally:
            command.kill()
    assert list(tmp_path.iterdir()) == []
    assert eventually(lambda: not working_on(tmp_path))


def test_a_worker_refuses_a_broken_table_with_a_word(valkey: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"mib": {}}')

    worker = subprocess.run(
        [sys.executable, "-m", "worker.app"], timeout=60, capture_output=True, text=True,
        env=environment(tmp_path, CLIPMILL_REDIS_URL=valkey.url),
    )  # fmt: skip

    assert worker.returncode == 2
    assert FILE_NAME in worker.stderr
    assert "clipmill calibrate" in worker.stderr
