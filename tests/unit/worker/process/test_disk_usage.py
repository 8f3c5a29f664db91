"""What counts as used disk, and what cannot be measured and so counts as too much."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from worker.process import disk_usage

KILOBYTE = 1024


def fill(path: Path, kilobytes: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * KILOBYTE * kilobytes)
    return path


def test_files_at_every_depth_count(tmp_path: Path) -> None:
    fill(tmp_path / "a", 100)
    fill(tmp_path / "b" / "c" / "d", 100)
    assert disk_usage.exceeds(str(tmp_path), 200 * KILOBYTE - 1)
    assert not disk_usage.exceeds(str(tmp_path), 300 * KILOBYTE)


def test_a_sparse_file_takes_only_what_is_allocated(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_000_000_000)
    assert not disk_usage.exceeds(str(tmp_path), 100 * KILOBYTE)


def test_a_file_allocated_ahead_takes_only_its_length(tmp_path: Path) -> None:
    with (tmp_path / "ahead").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1_000 * KILOBYTE)
        file.truncate(10 * KILOBYTE)
    assert not disk_usage.exceeds(str(tmp_path), 100 * KILOBYTE)


def test_what_a_link_points_at_is_not_ours(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside" / "large", 500)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    assert not disk_usage.exceeds(str(folder), 100 * KILOBYTE)


def test_an_empty_or_missing_folder_takes_nothing_but_may_have_less_than_nothing(
    tmp_path: Path,
) -> None:
    assert not disk_usage.exceeds(str(tmp_path), 0)
    assert not disk_usage.exceeds(str(tmp_path / "missing"), 0)
    assert disk_usage.exceeds(str(tmp_path), -1)  # deleted files alone took more than the limit


def test_a_flood_of_empty_files_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_usage, "MAX_ENTRIES", 50)
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert not disk_usage.exceeds(str(tmp_path), KILOBYTE)
    (tmp_path / "one more").touch()
    assert disk_usage.exceeds(str(tmp_path), KILOBYTE)


def test_deleted_files_held_open_count_once(tmp_path: Path) -> None:
    with fill(tmp_path / "hidden", 100).open() as file:
        (tmp_path / "hidden").unlink()
        holder = subprocess.Popen(["sleep", "60"], stdin=file)
        try:
            held = disk_usage.unlinked_bytes([os.getpid(), holder.pid])
        finally:
            holder.kill()
            holder.wait()
    assert 100 * KILOBYTE <= held < 150 * KILOBYTE


def test_memory_files_count_as_deleted_files() -> None:
    before = disk_usage.unlinked_bytes([os.getpid()])
    memory = os.memfd_create("hidden")
    try:
        os.write(memory, b"x" * 100 * KILOBYTE)
        assert disk_usage.unlinked_bytes([os.getpid()]) - before == 100 * KILOBYTE
    finally:
        os.close(memory)


def test_a_process_that_has_ended_holds_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert disk_usage.unlinked_bytes([ended.pid]) == 0
