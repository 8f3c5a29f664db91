"""Folders of attempts: always removed, and never somebody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker.engine.workspace import WorkFolder, remove_leftovers

HOLDER = """
import sys
from pathlib import Path
from worker.engine.workspace import WorkFolder
folder = WorkFolder(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_workspace_is_empty_private_and_gone_afterwards(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work", "me")
    with work.workspace("job", "token") as folder:
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_bytes(b"x")
    with pytest.raises(MemoryError), work.workspace("job", "token"):
        raise MemoryError
    assert list(work.path.iterdir()) == []
    work.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_only_what_has_no_living_owner_is_removed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path), "other"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        (tmp_path / "other" / "job").mkdir()
        mine = WorkFolder(tmp_path, "mine")
        for number in range(1000):
            (tmp_path / f"dead{number}" / "job").mkdir(parents=True)
        assert remove_leftovers(tmp_path) == 1000
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]
        other.kill()
    assert remove_leftovers(tmp_path) == 1
    mine.close()


def test_a_file_or_a_link_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "work" / "file").write_bytes(b"x")
    assert remove_leftovers(tmp_path / "work") == 0
    assert (tmp_path / "precious").is_dir()
